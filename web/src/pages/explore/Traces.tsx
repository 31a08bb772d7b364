import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { tracesQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Loading, Time } from "../../components/bits";
import { compact, percent, plural, value } from "../../lib/format";
import { lengthOf, operations, type Operation } from "../../lib/trace";
import type { Span } from "../../api/client";
import type { TabProps } from "./tab";

const shown = 100;
const counted = 1000; // of the API
const seconds = (nanos: number) => value(nanos / 1e9, "s");

type Order = "own" | "p95" | "errors";

const orders: [Order, string, (o: Operation) => number][] = [
  ["own", "most own time", (o) => o.own],
  ["p95", "slowest", (o) => o.p95],
  ["errors", "failing", (o) => o.errors / o.calls],
];

/** What was called, how slow it is and how often it fails; each leads to a trace that shows it. */
function Operations({ spans, whole, s, go }: { spans: Span[]; whole: boolean; s: TabProps["s"]; go: TabProps["go"] }) {
  const [order, setOrder] = useState<Order>("own");
  // Where what was called is filtered out, own time cannot be told.
  const offered = whole ? orders : orders.slice(1);
  const all = operations(spans);
  const own = all.reduce((n, o) => n + o.own, 0);
  const by = (offered.find(([k]) => k === order) ?? offered[0]!)[2];
  const list = [...all].sort((a, b) => by(b) - by(a)).slice(0, 15);
  return (
    <section className="card" aria-labelledby="ops-h">
      <header className="wrap">
        <h2 id="ops-h">
          Operations<span className="count">{all.length}</span>
        </h2>
        <span className="row wrap" role="group" aria-label="Order of operations">
          {offered.map(([k, name, rank]) => (
            <button key={k} type="button" className={`tag ${by === rank ? "accent" : ""}`} aria-pressed={by === rank} onClick={() => setOrder(k)}>
              {name}
            </button>
          ))}
        </span>
        <span className="faint small">of the newest {plural(spans.length, "span")} that match</span>
      </header>
      <div className="scrollx" tabIndex={0} role="region" aria-label="Operations">
        <table className="table">
          <thead>
            <tr>
              <th>Operation</th>
              <th className="r">Calls</th>
              <th className="r">Failed</th>
              <th className="r">Median</th>
              <th className="r">95 %</th>
              {whole ? <th className="r">Own time</th> : null}
              <th>Examples</th>
            </tr>
          </thead>
          <tbody>
            {list.map((o) => (
              <tr key={`${o.span.entity.kind}/${o.span.entity.name} ${o.span.kind} ${o.span.name}`}>
                <td className="widest wrap-anywhere" style={{ minWidth: 140 }}>
                  <EntityName entity={o.span.entity} />{" "}
                  <button type="button" className="linkbtn" aria-label={`Spans of ${o.span.entity.name} ${o.span.name}`} onClick={() => go({ ...s, service: o.span.entity.name, op: o.span.name })}>
                    {o.span.name || "unnamed"}
                  </button>
                  {o.span.kind === "client" ? <span className="faint"> as caller</span> : null}
                </td>
                <td className="r">{compact(o.calls)}</td>
                <td className={`r ${o.errors ? "tone-bad" : "faint"}`}>{o.errors ? percent(o.errors / o.calls) : "0 %"}</td>
                <td className="r">{seconds(o.median)}</td>
                <td className="r">{seconds(o.p95)}</td>
                {whole ? <td className="r">{percent(o.own / Math.max(1, own))}</td> : null}
                <td className="nowrap">
                  <Link to="/explore" search={{ ...s, tab: "trace", trace: o.span.trace_id }}>slowest</Link>
                  {o.failed ? <>{" "}<Link to="/explore" search={{ ...s, tab: "trace", trace: o.failed.trace_id }}>failed</Link></> : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {all.length > list.length ? <div className="in dim small">The first {list.length} of {all.length} are shown.</div> : null}
    </section>
  );
}

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
      {q.data && q.data.spans.length ? <Operations spans={q.data.spans} whole={!s.op && !s.slower && !failed} s={s} go={go} /> : null}
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
