// What speaks for the verdict: facts with weights, every deviation with the
// reason why it is in the incident, and what happened when.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { ApiError, type Anomaly, type Evidence, type Incident } from "../api/client";
import { whyQuery } from "../api/queries";
import { keyOf } from "../lib/chain";
import { labelsOf, seriesName } from "../lib/names";
import { foldSigns } from "../lib/timeline";
import { number, percent, value } from "../lib/format";
import { Explain } from "./Explain";
import { EntityName, ErrorNotice, Glyph, Meter, Time, type Tone } from "./bits";

const roleOrder: Record<string, number> = { root: 0, intermediate: 1, symptom: 2, bystander: 3 };
const roleTone: Record<string, Tone> = { root: "bad", intermediate: "warn", symptom: "dim", bystander: "dim" };

/** The watched series behind a fact where there is one (it has a band), else its expression. */
function target(incident: Incident, e: Evidence): { series: string } | { expr: string } {
  const id = incident.anomalies?.find((a) => a.id === e.anomaly_id)?.series_id;
  return id && id !== "0" ? { series: id } : { expr: e.expr ?? "" };
}

/** The series of an anomaly in words. */
function Name({ a }: { a: Anomaly }) {
  const n = seriesName(a.series, labelsOf(a.expr ?? ""));
  return (
    <span title={a.series}>
      {n.what} {n.which}
    </span>
  );
}

export function EvidenceList({ incident, now, focus, clear }: { incident: Incident; now: number; focus: string; clear: () => void }) {
  const [all, setAll] = useState(false);
  const rows = (incident.causes ?? [])
    .flatMap((c, place) => (c.evidence ?? []).map((e) => ({ e, role: c.role, place, key: keyOf(c.entity) })))
    .filter((r) => !focus || r.key === focus || keyOf(r.e.entity) === focus)
    .sort((a, b) => (roleOrder[a.role] ?? 9) - (roleOrder[b.role] ?? 9) || a.place - b.place || b.e.weight - a.e.weight);
  const cause = focus ? incident.causes?.find((c) => keyOf(c.entity) === focus) : undefined;
  const shown = all ? rows : rows.slice(0, 10);
  return (
    <section className="card" aria-labelledby="evidence-h">
      <header>
        <h2 id="evidence-h">
          Evidence<span className="count">{rows.length}</span>
        </h2>
        <span className="grow" />
        {focus ? (
          <button type="button" className="tag accent" style={{ cursor: "pointer" }} onClick={clear}>
            <span className="ellipsis" style={{ maxWidth: 150 }}>{focus.slice(focus.indexOf("/") + 1)}</span> ×<span className="sr-only">show all</span>
          </button>
        ) : null}
      </header>
      {cause?.sentence ? <div className="in dim" style={{ paddingBottom: 0 }}>{cause.sentence}</div> : null}
      {rows.length === 0 ? <div className="empty">No evidence {focus ? "of this entity" : "recorded"}.</div> : null}
      <ul className="evidence">
        {shown.map(({ e, role }, n) => (
          <li className="ev" key={n}>
            <div title="Weight of this fact in the verdict">
              <Meter label="" share={e.weight} text={percent(e.weight)} tone={roleTone[role] ?? "dim"} />
            </div>
            <div style={{ minWidth: 0 }}>
              <div className="wrap-anywhere">{e.text || `${e.series}: ${value(e.observed, e.unit)}, expected ${value(e.low, e.unit)} to ${value(e.high, e.unit)}`}</div>
              <div className="row wrap faint" style={{ fontSize: "0.75rem", gap: "2px 10px" }}>
                <span>{role}</span>
                <EntityName entity={e.entity} />
                <span>{e.signal}</span>
                {e.onset_unix_ms ? <Time at={e.onset_unix_ms} now={now} seconds /> : null}
                {e.z ? <span title="Robust distance from usual, in units of the usual noise">z {number(e.z)}</span> : null}
                {e.expr ? (
                  <Link to="/explore" search={{ ...target(incident, e), from: String(incident.onset_unix_ms - 1_800_000), to: incident.resolved_unix_ms ? String(incident.resolved_unix_ms + 600_000) : undefined }}>
                    explore
                  </Link>
                ) : null}
              </div>
            </div>
          </li>
        ))}
      </ul>
      {rows.length > shown.length ? (
        <button type="button" className="seriesrow dim" onClick={() => setAll(true)}>
          Show {rows.length - shown.length} more
        </button>
      ) : null}
    </section>
  );
}

/** What was seen, in one sentence. */
function Seen({ a }: { a: Anomaly }) {
  if (a.kind === "alert" || a.kind === "new_template")
    return (
      <span>
        <b>{a.entity.name || a.source}</b>: {a.text || a.series}
      </span>
    );
  return (
    <span>
      <b>{a.entity.name}</b>: <Name a={a} /> {a.ended_unix_ms ? "was" : "is"} {value(a.observed, a.unit)} where {value(a.low, a.unit)} to {value(a.high, a.unit)} was expected.
    </span>
  );
}

function Why({ incident, a }: { incident: string; a: Anomaly }) {
  const q = useQuery(whyQuery(incident, a.id));
  if (q.isPending) return <span className="dim">…</span>;
  if (q.error instanceof ApiError && q.error.status === 404)
    return (
      <div className="stack why" style={{ gap: 4 }}>
        <Seen a={a} />
        <span className="dim">Why it was taken in is known only while the incident lasts.</span>
      </div>
    );
  if (!q.data) return <ErrorNotice what="the reasons" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  return (
    <div className="stack why" style={{ gap: 4 }}>
      <Seen a={a} />
      <span>{q.data.sentence}</span>
      {(q.data.reasons ?? []).map((r, i) => (
        <div className="row wrap" key={i}>
          <Meter label="" share={r.weight} text={r.name} />
          <span className="dim">{r.text}</span>
        </div>
      ))}
    </div>
  );
}

export function Deviations({ incident, now }: { incident: Incident; now: number }) {
  const [open, setOpen] = useState("");
  const [all, setAll] = useState(false);
  const list: Anomaly[] = [...(incident.anomalies ?? [])].sort((a, b) => a.onset_unix_ms - b.onset_unix_ms);
  if (list.length === 0) return null;
  const shown = all ? list : list.slice(0, 12);
  return (
    <section className="card" aria-labelledby="dev-h">
      <header>
        <h2 id="dev-h">
          Everything that deviates<span className="count">{list.length}, by first sign</span>
        </h2>
      </header>
      <div className="scrollx" tabIndex={0} role="region" aria-label="Everything that deviates">
        <table className="table">
          <thead>
            <tr>
              <th>Since</th>
              <th>What</th>
              <th className="r">Observed</th>
              <th className="r">Expected</th>
              <th>
                <span className="sr-only">Why</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((a) => (
              <Fragment key={a.id}>
                <tr>
                  <td className="num">
                    <Time at={a.onset_unix_ms} now={now} seconds />
                  </td>
                  <td style={{ minWidth: 150 }}>
                    <EntityName entity={a.entity} />
                    {a.peer.name ? <span className="faint"> → {a.peer.name}</span> : null}
                    {a.instance.name && a.instance.name !== a.entity.name ? <span className="faint"> {a.instance.name}</span> : null}
                    <div className="dim wrap-anywhere" style={{ fontSize: "0.76rem" }}>
                      <Name a={a} /> · {a.kind.replace("_", " ")}
                      {a.ended_unix_ms ? " · ended" : ""}
                      {a.source !== "norn" ? ` · from ${a.source}` : ""}
                      {a.text ? <div className="mono">{a.text}</div> : null}
                    </div>
                  </td>
                  <td className="r">{a.kind === "alert" || a.kind === "new_template" ? "" : value(a.observed, a.unit)}</td>
                  <td className="r dim">{a.kind === "alert" || a.kind === "new_template" ? "" : `${value(a.low, a.unit)} to ${value(a.high, a.unit)}`}</td>
                  <td className="r">
                    <button type="button" className="tag" style={{ cursor: "pointer" }} aria-expanded={open === a.id} onClick={() => setOpen(open === a.id ? "" : a.id)}>
                      why?
                    </button>
                  </td>
                </tr>
                {open === a.id ? (
                  <tr>
                    <td colSpan={5}>
                      <Why incident={incident.merged_into || incident.id} a={a} />
                      {a.series_id !== "0" ? (
                        <details className="judged">
                          <summary className="dim">How this series is judged, and what to do about it</summary>
                          <Explain id={a.series_id} full={false} />
                        </details>
                      ) : null}
                    </td>
                  </tr>
                ) : null}
              </Fragment>
            ))}
          </tbody>
        </table>
      </div>
      {list.length > shown.length ? (
        <button type="button" className="seriesrow dim" onClick={() => setAll(true)}>
          Show {list.length - shown.length} more
        </button>
      ) : null}
    </section>
  );
}

const eventTone: Record<string, Tone> = { opened: "bad", anomaly: "warn", alert: "warn", cause: "bad", resolved: "good", acknowledged: "good", merged: "quiet", change: "quiet" };

export function Timeline({ incident, now }: { incident: Incident; now: number }) {
  const list = foldSigns([...(incident.timeline ?? [])].sort((a, b) => b.time_unix_ms - a.time_unix_ms));
  return (
    <section className="card" aria-labelledby="tl-h">
      <header>
        <h2 id="tl-h">
          What happened<span className="count">newest first</span>
        </h2>
      </header>
      {list.length === 0 ? <div className="empty">Nothing recorded.</div> : null}
      <ul className="timeline" tabIndex={0}>
        {list.map((e, i) => (
          <li key={i}>
            <Time at={e.time_unix_ms} now={Math.abs(now - incident.onset_unix_ms) < 86_400_000 ? now : e.time_unix_ms} seconds />
            <span style={{ paddingTop: 1 }}>
              <Glyph tone={eventTone[e.kind] ?? "dim"} />
            </span>
            <span className="wrap-anywhere">
              {e.text.startsWith(e.kind) ? null : <span className="dim">{e.kind} </span>}
              {e.entity.name && !e.text.includes(e.entity.name) ? <b>{e.entity.name}: </b> : null}
              {e.text}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
