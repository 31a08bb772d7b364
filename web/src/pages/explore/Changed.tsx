import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { changedQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Glyph, Loading, Time } from "../../components/bits";
import { ChangeIcon } from "../../components/Icons";
import { number, plural, value } from "../../lib/format";
import { labelsOf, seriesName } from "../../lib/names";
import { resolve } from "../../state/span";
import { AgainstPicker, chance } from "./Against";
import { marked } from "./Patterns";
import type { TabProps } from "./tab";

type Finding = Schemas["Finding"];

const kinds: [string, string, (f: Finding) => boolean][] = [
  ["", "all", () => true],
  ["bad", "for the worse", (f) => f.bad],
  ["metric", "metrics", (f) => f.series_id !== undefined],
  ["log", "logs", (f) => f.signal === "logs"],
];

/** "× 3.2", where a factor says more than a difference; what is left of nothing is nothing. */
function factor(f: Finding): string {
  const [before, within] = [Math.abs(f.before), Math.abs(f.within)];
  if (before < within * 1e-4) return "from 0";
  if (within < before * 1e-4) return "to 0";
  return before > 0 && f.before > 0 === f.within > 0 ? `× ${number(Number((within / before).toPrecision(2)))}` : "";
}

const was = (f: Finding) => (Math.abs(f.before) < Math.abs(f.within) * 1e-9 ? 0 : f.before);

/** Two anomalies of one series are one difference. */
function once(list: Finding[]): Finding[] {
  const seen = new Set<string>();
  return list.filter((f) => {
    const key = f.series_id ?? f.query ?? f.anomaly_id ?? "";
    return !key || (!seen.has(key) && seen.add(key));
  });
}

const unitOf = (f: Finding) => (f.unit === "{line}/s" ? "/s" : f.unit);

function Row({ f, s, now }: { f: Finding; s: TabProps["s"]; now: number }) {
  const up = f.direction === 1;
  const words = f.anomaly_id ? "Norn flagged it" : chance(f.p_value, f.q_value);
  const clean = { ...s, bfrom: undefined, bto: undefined, pattern: undefined, entity: undefined };
  const n = seriesName(f.title, labelsOf(f.expr ?? ""));
  const title = f.pattern_id ? <span className="mono">{marked(f.title)}</span> : f.series_id ? `${n.what}${n.which ? ` ${n.which}` : ""}` : f.title;
  return (
    <tr>
      <td className="r nowrap">
        <span className={`mark ${f.bad ? "tone-bad" : "tone-dim"}`}>
          <Glyph tone={f.bad ? "bad" : "dim"} />
          {up ? "up" : "down"}
        </span>
        <div className="num">{factor(f)}</div>
      </td>
      <td className="widest wrap-anywhere" style={{ minWidth: 150 }}>
        <div className="row wrap" style={{ gap: "0 8px" }}>
          <EntityName entity={f.entity} />
          {f.peer.name ? <span className="faint">→ {f.peer.name}</span> : null}
          <span className="faint small">{f.pattern_id ? "log pattern" : f.signal}</span>
        </div>
        {f.series_id ? (
          <Link to="/explore" search={{ ...clean, tab: undefined, series: f.series_id, query: undefined }}>{title}</Link>
        ) : f.query ? (
          <Link to="/explore" search={{ ...clean, tab: "logs", query: f.query, line: undefined }}>{title}</Link>
        ) : (
          <span>{title}</span>
        )}
        <div className="mobile-only">
          {value(f.within, unitOf(f))} <span className="dim">was {value(was(f), unitOf(f))}</span>
        </div>
        <div className="dim small">
          {words}
          {f.onset_unix_ms ? <>, since <Time at={f.onset_unix_ms} now={now} seconds /></> : null}
        </div>
      </td>
      <td className="r desktop-only">
        {value(f.within, unitOf(f))}
        <div className="faint small">was {value(was(f), unitOf(f))}</div>
      </td>
    </tr>
  );
}

const first = 50;

/** What is different in the chosen window, across metrics and logs, the surest first. */
export function Changed({ s, go, span, now }: TabProps) {
  const [kind, setKind] = useState("");
  const [limit, setLimit] = useState(first);
  const q = useQuery(changedQuery(s.entity ?? "", span, { against_from: s.bfrom, against_to: s.bto }, 500));
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  if (q.isPending) return <Loading lines={6} />;
  const d = q.data;
  if (!d) return <ErrorNotice what="what changed" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const keep = kinds.find(([k]) => k === kind)![2];
  const all = once(d.findings);
  const list = all.filter(keep);
  const close = to - from < 600_000;
  return (
    <div className="stack" aria-busy={q.isFetching}>
      <div className="row wrap">
        <b>
          {all.length ? plural(all.length, "difference") : "No difference that is more than chance"} in {value((to - from) / 1000, "s")}: <Time at={from} now={now} seconds={close} /> to <Time at={to} now={now} seconds={close} />
        </b>
        <AgainstPicker s={s} go={go} from={d.against_from_unix_ms} to={d.against_to_unix_ms} now={now} />
        {s.entity ? (
          <button type="button" className="tag accent" onClick={() => go({ ...s, entity: undefined })}>
            <span className="ellipsis">{s.entity}</span> ×<span className="sr-only">remove filter</span>
          </button>
        ) : null}
      </div>
      {d.changes.map((c) => (
        <div key={c.id} className="row wrap">
          <span className="tag accent">
            <ChangeIcon />
            <span className="wrap-anywhere">
              {c.kind}: {c.title}
            </span>
          </span>
          <span className="dim">
            {c.entity.name}, <Time at={c.time_unix_ms} now={now} seconds />
            {c.actor ? `, by ${c.actor}` : ""}
          </span>
        </div>
      ))}
      <div className="row wrap" role="group" aria-label="Which differences">
        {kinds.map(([k, name, has]) => (
          <button key={k} type="button" className={`tag ${kind === k ? "accent" : ""}`} aria-pressed={kind === k} onClick={() => setKind(k)}>
            {name} <span className="num">{all.filter(has).length}</span>
          </button>
        ))}
        <span className="faint small">
          {plural(d.series_examined, "series", "series")} and {plural(d.patterns_examined, "log pattern")} were compared
          {d.series_skipped ? `; there was no time for ${plural(d.series_skipped, "series", "series")}` : ""}
        </span>
      </div>
      <section className="card scrollx" aria-label="Differences" tabIndex={0}>
        {list.length === 0 ? (
          <div className="empty">
            <b>Nothing stands out</b>
            Choose another window: drag over a chart of metrics, over the histogram of logs, or over an incident’s timeline.
          </div>
        ) : (
          <table className="table">
            <thead>
              <tr>
                <th className="r">Went</th>
                <th>What</th>
                <th className="r desktop-only">In the window</th>
              </tr>
            </thead>
            <tbody>
              {list.slice(0, limit).map((f, i) => (
                <Row key={`${f.kind} ${f.series_id ?? ""} ${f.query ?? ""} ${i}`} f={f} s={s} now={now} />
              ))}
            </tbody>
          </table>
        )}
      </section>
      {list.length > limit ? (
        <div>
          <button type="button" className="btn" onClick={() => setLimit(500)}>
            Show {list.length - limit} more
          </button>
        </div>
      ) : null}
    </div>
  );
}
