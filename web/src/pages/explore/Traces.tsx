import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { tracesQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Loading, Time } from "../../components/bits";
import { value } from "../../lib/format";
import type { TabProps } from "./tab";

const shown = 100;

/** Finds spans by service, length and failure; each leads to its trace. */
export function Traces({ s, go, span, now }: TabProps) {
  const [service, setService] = useState(s.service ?? "");
  const [slower, setSlower] = useState(s.slower ?? "");
  const failed = s.failed === "1";
  const q = useQuery(tracesQuery({ service: s.service, min_duration_seconds: Number(s.slower ?? 0) / 1000 || undefined, only_errors: failed || undefined, limit: shown }, span));
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
        <button className="btn">Search</button>
      </form>
      {q.error ? <ErrorNotice what="the spans" error={q.error} retry={() => void q.refetch()} /> : null}
      {q.isPending ? <Loading lines={6} /> : null}
      {q.data ? (
        <section className="card scrollx" aria-label="Spans" tabIndex={0}>
          {q.data.spans.length === 0 ? <div className="empty">No span matches in this time range.</div> : null}
          <table className="table">
            <tbody>
              {q.data.spans.map((x) => (
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
                  <td className="r">{value((x.end_unix_nano - x.start_unix_nano) / 1e9, "s")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {q.data?.spans.length === shown ? <div className="dim">The newest {shown} are shown; narrow the search or the time range.</div> : null}
    </div>
  );
}
