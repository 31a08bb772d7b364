import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { operationsQuery, type OperationSort } from "../../api/queries";
import { EntityName, ErrorNotice, Loading } from "../../components/bits";
import { number, percent, value } from "../../lib/format";
import type { TabProps } from "./tab";

type Operation = Schemas["Operation"];

const sorts: [OperationSort, string][] = [["slower", "slower than before"], ["latency", "slow"], ["errors", "failing"], ["time", "uses most time"], ["rate", "most called"]];

/** A value that got at least half again as large is said with what it was. */
function Grown({ now, before, show }: { now: number | null; before: number | null; show: (v: number) => string }) {
  if (now === null) return <span className="faint">–</span>;
  const worse = before !== null && now > 1e-6 && now > before * 1.5 && now - before > 1e-3;
  return (
    <>
      <span className={worse ? "tone-bad" : ""}>{show(now)}</span>
      {worse ? <div className="faint small">was {show(before)}</div> : null}
    </>
  );
}

/** Milliseconds that leave the slowest spans of an operation. */
const slowFrom = (o: Operation) => (o.p95_seconds === null ? undefined : String(Number((o.p95_seconds * 1000).toPrecision(2))));

/** Which operations are slow, fail, or use most time, against the time before; each leads to spans that show it. */
export function Operations({ s, span }: Pick<TabProps, "s" | "span">) {
  const [sort, setSort] = useState<OperationSort>("slower");
  const q = useQuery(operationsQuery(s.service ? `service/${s.service}` : "", sort, span));
  if (q.isPending) return <Loading lines={3} />;
  if (!q.data) return <ErrorNotice what="the operations" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const { operations: list, total } = q.data;
  const own = list.some((o) => o.self_time_seconds !== null);
  const spans = (o: Operation, more: object) => ({ ...s, tab: "traces" as const, service: o.entity.name, op: o.operation, slower: undefined, failed: undefined, ...more });
  return (
    <section className="card" aria-labelledby="ops-h">
      <header className="wrap">
        <h2 id="ops-h">
          Operations<span className="count">{total || ""}</span>
        </h2>
        <span className="row wrap" role="group" aria-label="Order of operations">
          {sorts.map(([k, name]) => (
            <button key={k} type="button" className={`tag ${sort === k ? "accent" : ""}`} aria-pressed={sort === k} onClick={() => setSort(k)}>
              {name}
            </button>
          ))}
        </span>
      </header>
      {list.length === 0 ? <div className="empty">No operation was called in this time range.</div> : null}
      {list.length ? (
        <div className="scrollx" tabIndex={0} role="region" aria-label="Operations">
          <table className="table">
            <thead>
              <tr>
                <th>Operation</th>
                <th className="r desktop-only">Calls</th>
                <th className="r">Failed</th>
                <th className="r">95 %</th>
                {own ? <th className="r desktop-only">Own time</th> : null}
                <th>Examples</th>
              </tr>
            </thead>
            <tbody>
              {list.map((o) => (
                <tr key={`${o.entity.kind}/${o.entity.name} ${o.operation}`}>
                  <td className="widest wrap-anywhere" style={{ minWidth: 130 }}>
                    <EntityName entity={o.entity} />{" "}
                    <Link to="/explore" search={spans(o, {})}>{o.operation || "unnamed"}</Link>
                  </td>
                  <td className="r desktop-only">{number(Number(o.request_rate.toPrecision(2)))}/s</td>
                  <td className="r">
                    <Grown now={o.error_ratio} before={o.error_ratio_before} show={(v) => percent(v)} />
                  </td>
                  <td className="r">
                    <Grown now={o.p95_seconds} before={o.p95_before_seconds} show={(v) => value(v, "s")} />
                  </td>
                  {own ? <td className="r desktop-only">{value(o.self_time_seconds, "s")}</td> : null}
                  <td className="nowrap">
                    <Link to="/explore" search={spans(o, { slower: slowFrom(o) })} aria-label={`Slow spans of ${o.entity.name} ${o.operation}`}>slow</Link>
                    {(o.error_ratio ?? 0) > 0.001 ? (
                      <>
                        {" "}
                        <Link to="/explore" search={spans(o, { failed: "1" })} aria-label={`Failed spans of ${o.entity.name} ${o.operation}`}>failed</Link>
                      </>
                    ) : null}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
      {total > list.length ? <div className="in dim small">The first {list.length} of {total} are shown.</div> : null}
    </section>
  );
}
