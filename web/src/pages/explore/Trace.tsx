import { useQuery } from "@tanstack/react-query";
import type { Span } from "../../api/client";
import { traceQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Fact, Loading, Time } from "../../components/bits";
import { plural, value } from "../../lib/format";
import { traceRows, type TraceRow } from "../../lib/trace";

const seconds = (nanos: number) => value(nanos / 1e9, "s");

function Row({ row, start, total, longest }: { row: TraceRow; start: number; total: number; longest: number }) {
  const x = row.span;
  const share = (n: number) => `${(n / total) * 100}%`;
  const length = x.end_unix_nano - x.start_unix_nano;
  return (
    <tr>
      <td className="wrap-anywhere">
        <div style={{ paddingLeft: Math.min(row.depth, 12) * 8 }}>
          <EntityName entity={x.entity} />
          <div className="dim">
            {x.kind !== "server" && x.kind !== "unspecified" && x.kind !== "internal" ? <span className="faint">{x.kind} </span> : null}
            {x.name}
            {x.error ? <span className="tone-bad"> failed {x.status_message}</span> : null}
          </div>
        </div>
      </td>
      <td className="bars">
        <div className={`spanbar ${x.error ? "failed" : ""}`} style={{ marginLeft: share(x.start_unix_nano - start), width: share(Math.max(total / 200, length)) }} />
      </td>
      <td className="r">
        {seconds(length)}
        <div className={`small ${row.own === longest ? "tone-warn" : "faint"}`}>own {seconds(row.own)}</div>
      </td>
    </tr>
  );
}

function Summary({ spans, start, total, now }: { spans: Span[]; start: number; total: number; now: number }) {
  const failed = spans.filter((x) => x.error).length;
  const services = new Set(spans.map((x) => `${x.entity.kind}/${x.entity.name}`)).size;
  return (
    <div className="facts">
      <Fact value={seconds(total)} label="from first to last" />
      <Fact value={<Time at={Math.floor(start / 1e6)} now={now} seconds />} label="began" />
      <Fact value={String(spans.length)} label={`spans in ${plural(services, "service")}`} />
      <Fact value={failed ? <span className="tone-bad">{failed}</span> : "0"} label="failed" />
    </div>
  );
}

/** One trace: who called whom, how long each took, and where the time went. */
export function Trace({ id, now }: { id: string; now: number }) {
  const q = useQuery(traceQuery(id));
  if (q.isPending) return <Loading lines={5} />;
  if (!q.data) return <ErrorNotice what="this trace" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const spans = q.data.spans;
  const start = spans.reduce((least, x) => Math.min(least, x.start_unix_nano), Infinity);
  const total = Math.max(1, spans.reduce((most, x) => Math.max(most, x.end_unix_nano), 0) - start);
  const rows = traceRows(spans);
  const longest = rows.reduce((most, r) => Math.max(most, r.own), 0);
  return (
    <section className="card" aria-label="Trace">
      <header>
        <h2>
          Trace <span className="mono wrap-anywhere">{id}</span>
        </h2>
      </header>
      <Summary spans={spans} start={start} total={total} now={now} />
      <table className="table tracetable">
        <tbody>
          {rows.map((r, i) => (
            <Row key={i} row={r} start={start} total={total} longest={longest} />
          ))}
        </tbody>
      </table>
      {q.data.total > spans.length ? (
        <div className="in dim">
          The first {spans.length} of {plural(q.data.total, "span")} are shown.
        </div>
      ) : null}
    </section>
  );
}
