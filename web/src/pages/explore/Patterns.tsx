import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import type { Pattern } from "../../api/client";
import { patternsQuery, sparksQuery } from "../../api/queries";
import { Ago, EntityName, ErrorNotice, Loading, Spark, Time } from "../../components/bits";
import { compact, number, plural } from "../../lib/format";
import { resolve } from "../../state/span";
import { AgainstPicker, chance } from "./Against";
import type { TabProps } from "./tab";

/** Marks what varies. */
export function marked(text: string): ReactNode[] {
  return text.split(/(<[^<>\s]*\*?[^<>\s]*>)/).map((part, i) =>
    i % 2 ? (
      <span className="var" key={i}>
        {part}
      </span>
    ) : (
      part
    ),
  );
}

/** New errors alarm, new chatter does not. */
const toneOf = (severity: string) => (/error|fatal/.test(severity) ? "bad" : severity === "warn" ? "warn" : "accent");

function Change({ p }: { p: Pattern }) {
  if (p.new) return <span className={`tag ${toneOf(p.severity)}`}>new</span>;
  if (p.count === 0) return <span className={p.changed ? "tag" : ""}>gone</span>;
  if (p.change === null) return <>from 0</>;
  return <span className={p.changed ? `tag ${p.change > 1 ? toneOf(p.severity) : ""}` : ""}>× {number(p.change)}</span>;
}

/** What varies in the text, its type and an example; and the texts that it had. */
function More({ p, now }: { p: Pattern; now: number }) {
  return (
    <div className="stack" style={{ gap: 8, padding: "6px 0" }}>
      <div>
        <span className="faint small">example</span>
        <div className="mono wrap-anywhere">{p.example}</div>
      </div>
      {p.parameters.length ? (
        <div className="row wrap" role="list" aria-label="What varies">
          {p.parameters.map((x, i) => (
            <span key={i} className="tag" role="listitem">
              {x.name ? <b>{x.name}</b> : <span className="faint">{i + 1}.</span>} {x.type} <span className="mono ellipsis" style={{ maxWidth: 180 }}>{x.example}</span>
            </span>
          ))}
        </div>
      ) : null}
      {p.versions.length > 1 ? (
        <div role="list" aria-label="Versions of the text">
          {p.versions.map((v, i) => (
            <div key={i} className="row small" role="listitem" style={{ alignItems: "baseline" }}>
              <span className="dim nowrap">
                from <Time at={v.from_unix_ms} now={now} seconds />
              </span>
              <span className="mono wrap-anywhere">{marked(v.text)}</span>
            </div>
          ))}
        </div>
      ) : null}
      <span className="dim small">
        {compact(p.count)} lines, {compact(p.before)} in the time compared with; {chance(p.p_value, p.q_value)}; first seen <Time at={p.first_seen_unix_ms} now={now} seconds />
      </span>
    </div>
  );
}

/** A pattern that was asked for is brought into sight. */
const seen = (el: HTMLElement | null) => el?.scrollIntoView({ block: "nearest" });

function Row({ p, s, now, spark, open, toggle }: { p: Pattern; s: TabProps["s"]; now: number; spark: number[] | undefined; open: boolean; toggle: () => void }) {
  return (
    <tr data-open={open || undefined} ref={open ? seen : undefined}>
      <td className="r">
        {compact(p.count)}
        <div className="faint small">was {compact(p.before)}</div>
      </td>
      <td className="r">
        <Change p={p} />
        <div className={`small ${p.changed ? "dim" : "faint"}`}>{p.changed ? "for certain" : "may be chance"}</div>
      </td>
      <td className="sparkcell desktop-only" aria-hidden="true">
        {spark ? <Spark values={spark} /> : null}
      </td>
      <td className="widest" style={{ minWidth: 160 }}>
        <Link className="mono wrap-anywhere patterntext" title="Show its lines" to="/explore" search={{ ...s, tab: "logs", query: p.query, pattern: undefined, line: undefined }}>
          {marked(p.text)}
        </Link>
        <div className="row wrap faint small">
          <span className={toneOf(p.severity) === "bad" ? "tone-bad" : ""}>{p.severity}</span>
          <EntityName entity={p.entity} />
          <span>
            last <Ago at={p.last_seen_unix_ms} now={now} />
          </span>
          <Link to="/explore" search={{ ...s, tab: "logs", query: p.query, pattern: undefined, line: undefined }}>
            lines
          </Link>
          <button type="button" className="linkbtn" aria-expanded={open} onClick={toggle}>
            {p.versions.length > 1 ? `details, ${p.versions.length} versions` : "details"}
          </button>
        </div>
        {open ? <More p={p} now={now} /> : null}
      </td>
    </tr>
  );
}

/** How often each pattern came, in forty steps of the time. */
function useSparks(from: number, to: number): Map<string, number[]> {
  const q = useQuery(sparksQuery({ from: String(Math.round(from / 10_000) * 10_000), to: String(Math.round(to / 10_000) * 10_000) }));
  return useMemo(() => {
    const out = new Map<string, number[]>();
    if (!q.data) return out;
    const ms = q.data.step * 1000;
    const first = Math.floor(from / ms) * ms;
    const n = Math.max(2, Math.floor((to - first) / ms) + 1);
    for (const c of q.data.counts) {
      const list = out.get(c.id) ?? Array.from({ length: n }, () => 0);
      const i = Math.floor((c.at - first) / ms);
      if (i >= 0 && i < n) list[i]! += c.n;
      out.set(c.id, list);
    }
    return out;
  }, [q.data, from, to]);
}

const first = 100;

export function Patterns({ s, go, span, now }: TabProps) {
  const [all, setAll] = useState(false);
  const q = useQuery(patternsQuery(s.entity ?? "", span, { against_from: s.bfrom, against_to: s.bto }, 1000));
  const d = q.data;
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  const sparks = useSparks(Math.min(d?.against_from_unix_ms ?? from, from), to);
  if (q.isPending) return <Loading lines={6} />;
  if (!d) return <ErrorNotice what="the log patterns" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const list = all || d.patterns.findIndex((p) => p.id === s.pattern) >= first ? d.patterns : d.patterns.slice(0, first);
  return (
    <div className="stack">
      <div className="row wrap">
        <b>{d.changed ? `${plural(d.changed, "pattern")} of ${d.total} changed for certain` : `None of ${plural(d.total, "pattern")} changed for certain`}</b>
        <AgainstPicker s={s} go={go} from={d.against_from_unix_ms} to={d.against_to_unix_ms} now={now} />
        {s.pattern && !d.patterns.some((p) => p.id === s.pattern) ? <span className="tone-warn">The pattern that was asked for has no line in these time ranges.</span> : null}
        {s.entity ? (
          <button type="button" className="tag accent" onClick={() => go({ ...s, entity: undefined })}>
            <span className="ellipsis">{s.entity}</span> ×<span className="sr-only">remove filter</span>
          </button>
        ) : null}
      </div>
      <section className="card scrollx" aria-label="Log patterns" tabIndex={0}>
        {list.length === 0 ? <div className="empty">No log pattern in this time range.</div> : null}
        {list.length ? (
          <table className="table">
            <thead>
              <tr>
                <th className="r">Lines</th>
                <th className="r">Change</th>
                <th className="desktop-only">Over time</th>
                <th>Pattern</th>
              </tr>
            </thead>
            <tbody>
              {list.map((p) => (
                <Row key={`${p.entity.name}-${p.id}`} p={p} s={s} now={now} spark={sparks.get(p.id)} open={s.pattern === p.id} toggle={() => go({ ...s, pattern: s.pattern === p.id ? undefined : p.id })} />
              ))}
            </tbody>
          </table>
        ) : null}
        {d.patterns.length > list.length ? (
          <div className="in">
            <button type="button" className="btn" onClick={() => setAll(true)}>
              Show {d.patterns.length - list.length} more
            </button>
          </div>
        ) : null}
      </section>
    </div>
  );
}
