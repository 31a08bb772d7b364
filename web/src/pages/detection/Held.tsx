import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { mutedQuery, suppressedQuery } from "../../api/queries";
import { Ago, EntityName, ErrorNotice, Fact, Loading, Mark, Time } from "../../components/bits";
import { number, percent, plural } from "../../lib/format";
import { labelsOf, seriesName } from "../../lib/names";

const page = 50;

type Suppressed = Schemas["Suppressed"];

function HeldRow({ x, now }: { x: Suppressed; now: number }) {
  return (
    <li className="entry">
      <div className="grow stack" style={{ gap: 2 }}>
        <div className="row wrap">
          {x.ended_unix_ms ? <Mark tone="dim">Came to nothing</Mark> : <Mark tone="warn">May still open</Mark>}
          <b className="wrap-anywhere">{x.title}</b>
          {x.team ? <span className="tag">team {x.team}</span> : null}
          {x.scope.name || x.scope_team ? <span className="tag">budget of {x.scope_team ? `team ${x.scope_team}` : x.scope.name}</span> : null}
          <span className="dim">
            <Ago at={x.first_unix_ms} now={now} />
          </span>
        </div>
        <span className="wrap-anywhere">{x.why}</span>
        <span className="dim wrap-anywhere">{x.sentence}</span>
        <div className="row wrap dim small" style={{ gap: "2px 12px" }}>
          <span title="How likely such evidence is by chance, over all series watched; and what the budget allowed">
            chance {number(x.p_value)}, allowed {number(x.level)}
          </span>
          <span>impact {percent(x.impact)}</span>
          <span>{plural(x.anomalies, "anomaly", "anomalies")}</span>
          {(x.entities ?? []).slice(0, 4).map((e) => (
            <Link key={`${e.kind}/${e.name}`} to="/explore" search={{ entity: `${e.kind}/${e.name}`, from: String(x.onset_unix_ms - 1_800_000), to: String((x.ended_unix_ms || x.last_unix_ms) + 1_800_000) }}>
              <EntityName entity={e} />
            </Link>
          ))}
        </div>
      </div>
    </li>
  );
}

function Suppressions({ now }: { now: number }) {
  const q = useQuery(suppressedQuery);
  const [n, setN] = useState(page);
  if (q.isPending) return <Loading lines={2} height={70} />;
  if (!q.data) return <ErrorNotice what="what the budget holds back" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const { budget: b, suppressed: list } = q.data;
  return (
    <section className="card" aria-labelledby="held-h">
      <header>
        <h2 id="held-h">
          Held back by the alert budget<span className="count">{list.length || ""}</span>
        </h2>
      </header>
      <div className="facts">
        <Fact value={b.false_pages_per_week ? number(b.false_pages_per_week) : "off"} label={`false pages a week, at most${b.per_service ? ", each service" : ""}`} title="alerts.budget.false_pages_per_week" />
        {b.per_service || !b.false_pages_per_week ? null : (
          <>
            <Fact value={`${number(b.spent)} of ${number(b.false_pages_per_week)}`} label="spent this week" title="Expected false pages of what the budget let through" />
            <Fact value={number(b.level)} label="chance the next may have" title="p-value up to which the next candidate is let through" />
          </>
        )}
        <Fact value={String(b.suppressed)} label="held back since start" />
      </div>
      {list.length === 0 ? (
        <div className="empty" style={{ paddingTop: 10 }}>
          <b>Nothing is held back</b>
          What may well be chance waits here for better evidence instead of waking somebody.
        </div>
      ) : (
        <ul className="list">
          {list.slice(0, n).map((x) => (
            <HeldRow key={x.id} x={x} now={now} />
          ))}
        </ul>
      )}
      {list.length > n ? (
        <button type="button" className="seriesrow dim" onClick={() => setN(n + page)}>
          Show more of {list.length}
        </button>
      ) : null}
    </section>
  );
}

function Muted({ now }: { now: number }) {
  const q = useQuery(mutedQuery);
  const [n, setN] = useState(page);
  if (q.isPending) return <Loading lines={2} height={70} />;
  if (!q.data) return <ErrorNotice what="what was muted" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const list = q.data.muted;
  return (
    <section className="card" aria-labelledby="muted-h">
      <header>
        <h2 id="muted-h">
          Muted anomalies<span className="count">{list.length || ""}</span>
        </h2>
        <span className="faint desktop-only">newest first</span>
      </header>
      {list.length === 0 ? <div className="empty">No anomaly was muted.</div> : null}
      <ul className="list">
        {list.slice(0, n).map(({ mute, anomaly: a }, i) => {
          const name = seriesName(a.series, labelsOf(a.expr ?? ""));
          return (
            <li key={`${a.id}-${i}`} className="entry">
              <div className="grow row wrap" style={{ gap: "2px 12px" }}>
                <Time at={a.onset_unix_ms} now={now} seconds />
                <EntityName entity={a.entity} />
                {a.series_id !== "0" ? (
                  <Link to="/explore" search={{ series: a.series_id, from: String(a.onset_unix_ms - 1_800_000), to: String((a.ended_unix_ms || now) + 600_000) }} className="wrap-anywhere">
                    {name.what} {name.which}
                  </Link>
                ) : (
                  <span className="wrap-anywhere">{a.text || a.series}</span>
                )}
                <span className="dim">{a.kind.replace("_", " ")}</span>
                <span className="dim">
                  by <Link to="/detection" search={{ tab: "mutes", edit: mute }}>{mute}</Link>
                </span>
                <span className="faint">{a.ended_unix_ms ? "ended" : "lasts"}</span>
              </div>
            </li>
          );
        })}
      </ul>
      {list.length > n ? (
        <button type="button" className="seriesrow dim" onClick={() => setN(n + page)}>
          Show more of {list.length}
        </button>
      ) : null}
    </section>
  );
}

/** What nobody was told, and why. */
export function Held({ now }: { now: number }) {
  return (
    <>
      <Suppressions now={now} />
      <Muted now={now} />
    </>
  );
}
