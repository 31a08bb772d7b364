// What could be done about an incident. Nothing is carried out from here: the
// console shows, people and their policy decide.

import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "../api/client";
import { remediesQuery } from "../api/queries";
import { percent } from "../lib/format";
import { ErrorNotice } from "./bits";

function past(t: Schemas["Track"]): string {
  if (!t.tried) return "never tried in a similar incident";
  return `worked ${t.worked} of ${t.tried} times in similar incidents (${percent(t.success_low)} to ${percent(t.success_high)})`;
}

function Remedy({ r, open }: { r: Schemas["Remedy"]; open: boolean }) {
  return (
    <details open={open} className="in">
      <summary className="wrap-anywhere">
        {r.title} <span className="faint">risk {r.risk}</span>
      </summary>
      {r.why.map((y) => (
        <p key={y.name} className="dim wrap-anywhere">
          because {y.text}
        </p>
      ))}
      <ol>
        {r.steps.map((s) => (
          <li key={s} className="wrap-anywhere">
            {s}
          </li>
        ))}
      </ol>
      <p className="dim wrap-anywhere">
        Effect: {r.effect}. Risk: {r.risk_text}. Verify: {r.verify}. Past: {past(r.track)}.
      </p>
      {r.action ? (
        <p className="faint">
          Action {r.action}, autonomy {r.autonomy}
        </p>
      ) : null}
    </details>
  );
}

export function Remedies({ id }: { id: string }) {
  const q = useQuery(remediesQuery(id));
  const list = q.data?.remedies ?? [];
  return (
    <section className="card" aria-labelledby="remedies-h">
      <header>
        <h2 id="remedies-h">
          What could be done<span className="count">{list.length}</span>
        </h2>
        {q.data?.stopped ? <span className="tag">stopped</span> : null}
      </header>
      {q.error ? (
        <ErrorNotice what="remedies" error={q.error} retry={() => void q.refetch()} />
      ) : list.length ? (
        list.slice(0, 5).map((r, n) => <Remedy key={r.id} r={r} open={n === 0} />)
      ) : (
        <div className="empty">{q.isPending ? "Looking for runbooks" : "No runbook fits this incident."}</div>
      )}
    </section>
  );
}
