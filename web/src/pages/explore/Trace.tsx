import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { Span } from "../../api/client";
import { traceQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Fact, Loading, Time } from "../../components/bits";
import { plural, value } from "../../lib/format";
import { foldedAtFirst, lengthOf, traceRows, unfolded, type TraceRow } from "../../lib/trace";

const seconds = (nanos: number) => value(nanos / 1e9, "s");

interface RowProps {
  row: TraceRow;
  start: number;
  total: number;
  longest: number;
  folded: boolean;
  fold: () => void;
  match: boolean;
}

/** The span light, its own time dark; of a call, what neither side worked on hatched. */
function Bars({ row, start, total }: Pick<RowProps, "row" | "start" | "total">) {
  const x = row.span;
  const share = (n: number) => `${Math.max(0, Math.min(100, (n / total) * 100))}%`;
  const length = lengthOf(x);
  const text = `${seconds(length)}, own ${seconds(row.own)}${row.gap !== null ? `, ${seconds(row.gap)} between the two sides` : ""}`;
  return (
    <div className="spans" title={text}>
      <div className={`spanbar ${x.error ? "failed" : ""}`} style={{ left: share(Math.min(x.start_unix_nano - start, total * 0.995)), width: share(Math.max(total / 200, length)) }} />
      {row.parts.map(([a, b], i) => (
        <div key={i} className={`ownbar ${row.gap !== null ? "gap" : ""}`} style={{ left: share(a - start), width: share(b - a) }} />
      ))}
    </div>
  );
}

function Row({ row, start, total, longest, folded, fold, match }: RowProps) {
  const x = row.span;
  return (
    <tr className={match ? "spanmatch" : ""}>
      <td className="wrap-anywhere">
        <div style={{ paddingLeft: Math.min(row.depth, 12) * 8 }}>
          <EntityName entity={x.entity} />
          {row.below ? (
            <button type="button" className="foldspan" aria-expanded={!folded} aria-label={`${plural(row.below, "span")} below ${x.name}`} onClick={fold}>
              <span className="chev" />
              {row.below}
              {folded && row.failedBelow ? <span className="tone-bad">failed</span> : null}
            </button>
          ) : null}
          <div className="dim">
            {x.kind !== "server" && x.kind !== "unspecified" && x.kind !== "internal" ? <span className="faint">{x.kind} </span> : null}
            {x.name}
            {x.error ? <span className="tone-bad"> failed {x.status_message}</span> : null}
          </div>
        </div>
      </td>
      <td className="bars">
        <Bars row={row} start={start} total={total} />
      </td>
      <td className="r">
        {seconds(lengthOf(x))}
        <div className={`small ${row.own === longest ? "tone-warn" : "faint"}`}>own {seconds(row.own)}</div>
        {row.gap !== null ? <div className={`small ${row.gap > total * 0.1 ? "tone-warn" : "faint"}`}><span className="desktop-only">edge </span>gap {seconds(row.gap)}</div> : null}
      </td>
    </tr>
  );
}

function Summary({ rows, start, total, now }: { rows: TraceRow[]; start: number; total: number; now: number }) {
  const failed = rows.filter((r) => r.span.error).length;
  const services = new Set(rows.map((r) => `${r.span.entity.kind}/${r.span.entity.name}`)).size;
  const most = rows.reduce((a, b) => (b.own > a.own ? b : a));
  return (
    <div className="facts">
      <Fact value={seconds(total)} label="from first to last" />
      <Fact value={<Time at={Math.floor(start / 1e6)} now={now} seconds />} label="began" />
      <Fact value={String(rows.length)} label={`spans in ${plural(services, "service")}`} />
      <Fact value={failed ? <span className="tone-bad">{failed}</span> : "0"} label="failed" />
      <Fact value={<span className="tone-warn">{seconds(most.own)}</span>} label={`longest own time: ${most.span.entity.name}`} title={most.span.name} />
    </div>
  );
}

const words = (x: Span) => `${x.entity.name} ${x.name} ${x.kind} ${x.status_message ?? ""} ${x.error ? "failed" : ""}`.toLowerCase();

function Waterfall({ spans, now }: { spans: Span[]; now: number }) {
  const rows = useMemo(() => traceRows(spans), [spans]);
  const [folded, setFolded] = useState(() => foldedAtFirst(rows));
  const [find, setFind] = useState("");
  const start = spans.reduce((least, x) => Math.min(least, x.start_unix_nano), Infinity);
  const total = Math.max(1, spans.reduce((most, x) => Math.max(most, x.end_unix_nano), 0) - start);
  const longest = rows.reduce((most, r) => Math.max(most, r.own), 0);
  const wanted = find.trim().toLowerCase();
  const matching = wanted ? rows.filter((r) => words(r.span).includes(wanted)) : [];
  const shown = wanted ? matching : unfolded(rows, folded);
  const fold = (id: string) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  const failed = rows.some((r) => r.span.error);
  return (
    <>
      <Summary rows={rows} start={start} total={total} now={now} />
      <div className="row wrap in" style={{ paddingTop: 0, paddingBottom: 8 }}>
        <input className="field" style={{ flex: "1 1 160px", maxWidth: 320 }} data-search placeholder="Find a span" aria-label="Find a span" value={find} onChange={(e) => setFind(e.target.value)} />
        {failed ? (
          <button type="button" className={`tag ${wanted === "failed" ? "bad" : ""}`} aria-pressed={wanted === "failed"} onClick={() => setFind(wanted === "failed" ? "" : "failed")}>
            failed only
          </button>
        ) : null}
        {rows.length > 10 ? (
          <>
            <button type="button" className="tag" onClick={() => setFolded(new Set())}>
              unfold all
            </button>
            <button type="button" className="tag" onClick={() => setFolded(new Set(rows.filter((r) => r.depth >= 1 && r.below).map((r) => r.span.span_id)))}>
              fold
            </button>
          </>
        ) : null}
        <span className="legend" aria-hidden="true">
          <span><svg width="18" height="8"><rect width="18" height="8" rx="2" fill="var(--curve)" opacity="0.32" /></svg>with what it called</span>
          <span><svg width="18" height="8"><rect width="18" height="8" rx="2" fill="var(--curve)" /></svg>own time</span>
          <span><span className="gapkey" style={{ display: "inline-block", width: 18, height: 8, marginRight: 5 }} />edge gap: network and queue</span>
        </span>
        <span className="dim small" role="status">{wanted ? plural(matching.length, "span") : shown.length < rows.length ? `${rows.length - shown.length} spans are folded` : ""}</span>
      </div>
      <table className="table tracetable">
        <thead>
          <tr>
            <th>Span</th>
            <th>
              <span className="ticks">
                <span>0</span>
                <span className="desktop-only">{seconds(total / 2)}</span>
                <span>{seconds(total)}</span>
              </span>
            </th>
            <th className="r">Length</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((r, i) => (
            <Row key={r.span.span_id + i} row={r} start={start} total={total} longest={longest} folded={folded.has(r.span.span_id)} fold={() => fold(r.span.span_id)} match={wanted !== "" && wanted !== "failed"} />
          ))}
        </tbody>
      </table>
    </>
  );
}

/** One trace: who called whom, how long each took, and where the time went. */
export function Trace({ id, now }: { id: string; now: number }) {
  const q = useQuery(traceQuery(id));
  if (q.isPending) return <Loading lines={5} />;
  if (!q.data) return <ErrorNotice what="this trace" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const { spans } = q.data;
  const at = Math.floor(spans.reduce((least, x) => Math.min(least, x.start_unix_nano), Infinity) / 1e6);
  return (
    <section className="card" aria-label="Trace">
      <header className="wrap">
        <h2>
          Trace <span className="mono wrap-anywhere">{id}</span>
        </h2>
        <Link className="nowrap" style={{ marginLeft: "auto" }} to="/explore" search={{ tab: "logs", query: `trace_id:="${id}"`, from: String(at - 300_000), to: String(at + 900_000) }}>
          its log lines
        </Link>
      </header>
      {spans.length ? <Waterfall key={id} spans={spans} now={now} /> : <div className="empty">The trace has no spans.</div>}
      {q.data.total > spans.length ? (
        <div className="in dim">
          The first {spans.length} of {plural(q.data.total, "span")} are shown.
        </div>
      ) : null}
    </section>
  );
}
