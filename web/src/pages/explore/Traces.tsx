import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { tracesQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Loading, Time } from "../../components/bits";
import { compact, percent, plural, value } from "../../lib/format";
import { lengthOf, operations } from "../../lib/trace";
import type { Span } from "../../api/client";
import { Operations } from "./Operations";
import type { TabProps } from "./tab";

const shown = 100;
const counted = 1000; // of the API
const seconds = (nanos: number) => value(nanos / 1e9, "s");

/** Where the time of the newest spans went, callers of databases and the like among them; each leads to its slowest trace. */
function OwnTime({ spans, s }: { spans: Span[]; s: TabProps["s"] }) {
  const all = operations(spans);
  const sum = all.reduce((n, o) => n + o.own, 0);
  return (
    <section className="card" aria-labelledby="own-h">
      <header className="wrap">
        <h2 id="own-h">Where the time goes</h2>
        <span className="faint small">own time of the newest {plural(spans.length, "span")}, with their slowest trace</span>
      </header>
      <div className="in stack" style={{ gap: 4, paddingTop: 8 }}>
        {all.slice(0, 6).map((o) => (
          <div key={`${o.span.entity.kind}/${o.span.entity.name} ${o.span.kind} ${o.span.name}`} className="ownrow">
            <span className="wrap-anywhere">
              <EntityName entity={o.span.entity} />{" "}
              <Link to="/explore" search={{ ...s, tab: "trace", trace: o.span.trace_id }}>{o.span.name || "unnamed"}</Link>
              {o.span.kind === "client" ? <span className="faint"> as caller</span> : null}
              {o.errors ? <span className="tone-bad"> {compact(o.errors)} failed</span> : null}
            </span>
            <span className="ownshare" aria-hidden="true">
              <span style={{ width: percentOf(o.own, sum) }} />
            </span>
            <span className="num r">{percent(o.own / Math.max(1, sum))}</span>
            <span className="num r dim">median {seconds(o.median)}</span>
          </div>
        ))}
      </div>
    </section>
  );
}

const percentOf = (n: number, sum: number) => `${Math.max(1, (n / Math.max(1, sum)) * 100)}%`;

/** Finds spans by service, length and failure; each leads to its trace. */
export function Traces({ s, go, span, now }: TabProps) {
  const [service, setService] = useState(s.service ?? "");
  const [slower, setSlower] = useState(s.slower ?? "");
  const failed = s.failed === "1";
  const q = useQuery(tracesQuery({ service: s.service, min_duration_seconds: Number(s.slower ?? 0) / 1000 || undefined, operation: s.op, only_errors: failed || undefined, limit: counted }, span));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    go({ ...s, service: service.trim() || undefined, slower: slower.trim() || undefined });
    void q.refetch();
  };
  return (
    <div className="stack">
      <form className="row wrap" onSubmit={submit}>
        <input className="field grow" style={{ minWidth: 120 }} data-search placeholder="Service" aria-label="Service" value={service} onChange={(e) => setService(e.target.value)} />
        <input className="field" style={{ width: 150 }} type="number" min="0" step="any" placeholder="Longer than, ms" aria-label="Longer than, milliseconds" value={slower} onChange={(e) => setSlower(e.target.value)} />
        <button type="button" className={`tag ${failed ? "bad" : ""}`} aria-pressed={failed} onClick={() => go({ ...s, failed: failed ? undefined : "1" })}>
          failed only
        </button>
        {s.op ? (
          <button type="button" className="tag accent" onClick={() => go({ ...s, op: undefined })}>
            <span className="ellipsis">{s.op}</span> ×<span className="sr-only">remove filter</span>
          </button>
        ) : null}
        <button className="btn">Search</button>
      </form>
      {q.error ? <ErrorNotice what="the spans" error={q.error} retry={() => void q.refetch()} /> : null}
      {q.isPending ? <Loading lines={6} /> : null}
      {s.op || s.slower || failed ? null : (
        <>
          <Operations s={s} span={span} />
          {q.data?.spans.length ? <OwnTime spans={q.data.spans} s={s} /> : null}
        </>
      )}
      {q.data ? (
        <section className="card scrollx" aria-label="Spans" tabIndex={0}>
          {q.data.spans.length === 0 ? <div className="empty">No span matches in this time range.</div> : null}
          <table className="table">
            <tbody>
              {q.data.spans.slice(0, shown).map((x) => (
                <tr key={x.trace_id + x.span_id}>
                  <td className="num dim">
                    <Time at={Math.floor(x.start_unix_nano / 1e6)} now={now} seconds />
                  </td>
                  <td className="widest wrap-anywhere">
                    <EntityName entity={x.entity} />{" "}
                    <Link to="/explore" search={{ ...s, tab: "trace", trace: x.trace_id }}>
                      {x.name || "unnamed"}
                    </Link>
                    {x.error ? <span className="tone-bad"> failed {x.status_message}</span> : null}
                  </td>
                  <td className="r">{seconds(lengthOf(x))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {(q.data?.spans.length ?? 0) > shown ? <div className="dim">The newest {shown} are shown; narrow the search or the time range.</div> : null}
    </div>
  );
}
