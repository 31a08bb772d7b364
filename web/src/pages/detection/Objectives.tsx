import { useQuery } from "@tanstack/react-query";
import { sloQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Loading, Mark, Meter } from "../../components/bits";
import { duration, number, percent } from "../../lib/format";

/** Service level objectives: what is left of each error budget, the least first. */
export function Objectives() {
  const q = useQuery(sloQuery);
  if (q.isPending) return <Loading lines={3} height={60} />;
  if (!q.data) return <ErrorNotice what="the objectives" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const list = [...q.data.slos].sort((a, b) => a.left - b.left);
  return (
    <section className="card" aria-labelledby="slos-h">
      <header>
        <h2 id="slos-h">
          Objectives<span className="count">{list.length || ""}</span>
        </h2>
      </header>
      {list.length === 0 ? <div className="empty">No objective is declared, and none could be inferred yet.</div> : null}
      <ul className="list">
        {list.map((o) => (
          <li key={`${o.name} ${o.entity.kind}/${o.entity.name}`} className="entry">
            <div className="grow stack" style={{ gap: 3 }}>
              <div className="row wrap">
                {o.left <= 0 ? <Mark tone="bad">Exhausted</Mark> : o.burns.some((b) => b.burning) ? <Mark tone="warn">Burns fast</Mark> : <Mark tone="good">Kept</Mark>}
                <b className="wrap-anywhere">{o.name}</b>
                <EntityName entity={o.entity} />
                {o.inferred ? <span className="tag">inferred</span> : null}
              </div>
              <span className="wrap-anywhere">{o.sentence}</span>
              <span className="row wrap dim" style={{ gap: "2px 14px" }}>
                <Meter label="budget left" share={o.left} text={percent(o.left)} tone={o.left <= 0.1 ? "bad" : o.left <= 0.5 ? "warn" : "good"} />
                {o.burns.map((b) => (
                  <Meter key={b.name} label={`${b.name} burn`} share={b.long_rate / Math.max(1e-9, b.limit)} text={`${number(b.long_rate)} of ${number(b.limit)}`} tone={b.burning ? "bad" : "dim"} />
                ))}
                {o.exhausted_in_ms !== null ? <span>exhausted in {duration(o.exhausted_in_ms)} at this rate</span> : null}
              </span>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
