// How one series is judged: what was chosen for it and why, what is expected
// now, what it does, and what a person can do about it.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas, Series } from "../api/client";
import { seriesQuery } from "../api/queries";
import { compact, duration, number, percent, value } from "../lib/format";
import { selectorOf } from "../lib/detection";
import { seriesName } from "../lib/names";
import { useNow } from "../state/clock";
import { Ago, EntityName, ErrorNotice, Loading, Mark, Meter } from "./bits";

type Explanation = Schemas["Explanation"];
type Together = Schemas["Together"];

/** Where the value lies against what is expected of it. */
function Band({ e, unit }: { e: Explanation; unit: string }) {
  const lo = Math.min(e.low, e.last);
  const hi = Math.max(e.high, e.last);
  const pad = (hi - lo || Math.abs(hi) || 1) * 0.12;
  const x = (v: number) => `${(((v - lo + pad) / (hi - lo + 2 * pad)) * 100).toFixed(1)}%`;
  const out = e.last < e.low || e.last > e.high;
  return (
    <div className="stack" style={{ gap: 4 }}>
      <svg className="bandbar" width="100%" height="22" role="img" aria-label={`now ${value(e.last, unit)}, expected ${value(e.low, unit)} to ${value(e.high, unit)}`}>
        <rect x="0" y="10" width="100%" height="2" fill="var(--line)" />
        <svg x={x(e.low)} width={`${parseFloat(x(e.high)) - parseFloat(x(e.low))}%`} height="22" overflow="visible">
          <rect y="4" width="100%" height="14" rx="3" fill="var(--band)" stroke="var(--band-edge)" />
        </svg>
        <line x1={x(e.expected)} x2={x(e.expected)} y1="4" y2="18" stroke="var(--band-edge)" strokeDasharray="3 2" strokeWidth="1.5" />
        <circle cx={x(e.last)} cy="11" r="5" fill={out ? "var(--bad)" : "var(--curve)"} stroke="var(--surface)" strokeWidth="1.5" />
      </svg>
      <span className="dim">
        <b>{value(e.last, unit)}</b>, expected {value(e.low, unit)} to {value(e.high, unit)} · p {number(e.p_value)} · {compact(e.points)} points
        {e.interval_ms ? ` every ${duration(e.interval_ms)}` : ""}
      </span>
    </div>
  );
}

function State({ e }: { e: Explanation }) {
  if (e.anomaly_id) return <Mark tone="bad">deviates now</Mark>;
  if (e.phase === "watching") return <Mark tone="good">as usual</Mark>;
  return <Mark tone="quiet">{e.phase.replace("_", " ")}</Mark>;
}

/** A rule or mute begun for this series, or a change tried on history. */
function Actions({ s, e }: { s: Series; e: Explanation }) {
  const n = seriesName(s.name, s.labels);
  const name = `${s.entity.name || "series"}: ${n.what}${n.which ? ` ${n.which}` : ""}`.slice(0, 200);
  // What Norn derived answers to the name of its metric and the labels as they are stored.
  const match = selectorOf(s.labels);
  return (
    <div className="row wrap" role="group" aria-label="Change how it is judged">
      <Link className="btn" to="/detection" search={{ tab: "mutes", edit: "+", match, name }}>
        Mute this
      </Link>
      <Link className="btn" to="/detection" search={{ edit: "+", match, name, sensitivity: "high" }}>
        Raise sensitivity
      </Link>
      <Link className="btn" to="/detection" search={{ edit: "+", match, name }}>
        Change or try on history
      </Link>
      {e.rules.map((r) => (
        <Link key={r} className="tag accent" to="/detection" search={{ edit: r }}>
          rule {r}
        </Link>
      ))}
    </div>
  );
}

function Members({ e }: { e: Explanation }) {
  const heaviest = Math.max(0, ...e.members.map((m) => m.weight));
  return (
    <table className="table">
      <tbody>
        {e.members.map((m) => (
          <tr key={m.name}>
            <td className="dim nowrap">detector {m.name}</td>
            <td className="widest">
              <span className="row wrap" style={{ gap: "0 12px" }}>
                {m.weight > 0 && heaviest > 0 ? <Meter label="weight" share={m.weight / heaviest} text={number(m.weight)} /> : null}
                <span className="wrap-anywhere">{m.text}</span>
                <span className="faint">
                  score {number(m.score)}, p {number(m.p_value)}
                </span>
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const tierWord: Record<string, string> = { full: "full: every detector", basic: "basic: level, spike and silence", cheap: "cheap: level, spike and silence", counter: "only counted", none: "not watched" };
const learnt: Record<string, string> = { "daily gain": "time of day", "silent after": "silence" };

function Facts({ s, e }: { s: Series; e: Explanation }) {
  const rows: [string, ReactNode][] = [["tier", tierWord[s.tier] ?? s.tier], ["bad direction", s.direction > 0 ? "up" : s.direction < 0 ? "down" : "both"]];
  for (const f of e.facts) if (f.name !== "load" && f.name !== "together") rows.push([learnt[f.name] ?? f.name, f.text]);
  return (
    <table className="table">
      <tbody>
        {rows.map(([name, says]) => (
          <tr key={name}>
            <td className="dim nowrap">{name}</td>
            <td className="widest wrap-anywhere">{says}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Load({ d, unit }: { d: NonNullable<Explanation["driver"]>; unit: string }) {
  return (
    <div className="stack" style={{ gap: 3 }}>
      <h3>Explained by its load</h3>
      <span className="wrap-anywhere">{d.sentence}</span>
      <span className="row wrap dim" style={{ gap: "0 12px" }}>
        <Link to="/explore" search={{ series: d.series_id }}>
          {seriesName(d.name, {}).what} of {d.entity.name}
        </Link>
        <span>
          {value(d.load, d.load_unit)}, usually {value(d.usual, d.load_unit)}
        </span>
        <span>
          at this load {value(d.low, unit)} to {value(d.high, unit)}
        </span>
        <Meter label="explains" share={d.skill} text={percent(d.skill)} />
      </span>
    </div>
  );
}

const memberWord: Record<string, string> = { autoregression: "autoregression", network: "neural network", axes: "principal axes", trees: "random cut trees", graph: "neighbours", spike: "single metrics" };
const wordOf = (m: string) => memberWord[m] ?? m;

/** The record of the neural network on this entity, as it was decided. */
function Contest({ c, now }: { c: Together["contest"]; now: number }) {
  if (c.held === 0) return <span className="dim">{c.training ? "A neural network is being trained; it leads only where it beats the autoregression on rows that neither has seen." : "No neural network has been tried on this entity yet."}</span>;
  return (
    <span>
      <b>{wordOf(c.leads)}</b> leads. The network won {c.won} of {c.held} contests, {c.in_a_row} in a row; in the last (<Ago at={c.at_unix_ms} now={now} />, {compact(c.held_back_rows)} rows that neither had seen, {c.disturbances} disturbances) it was
      surprised {number(c.neural)} against {number(c.linear)} (t = {number(c.t)}).{c.training ? " The next network is being trained." : ""}
    </span>
  );
}

function Joint({ t, entity, now }: { t: Together; entity: Schemas["Entity"]; now: number }) {
  return (
    <div className="stack" style={{ gap: 4 }}>
      <h3>
        Judged together with {t.metrics - 1} other metrics of <EntityName entity={entity} />
      </h3>
      {t.phase === "learning" ? (
        <span className="dim">{t.sentence}</span>
      ) : (
        <>
          <Contest c={t.contest} now={now} />
          {t.adopting ? <Mark tone="warn">what is strange has lasted so long that it is being learned as normal</Mark> : null}
          <span className="row wrap" style={{ gap: "2px 14px" }}>
            {t.members
              .filter((m) => m.ready)
              .map((m) => (
                <Meter key={m.name} label={`${wordOf(m.name)}${m.leads ? " (leads)" : ""}`} share={m.surprise / 4} text={number(m.surprise)} tone={m.surprise >= 3 ? "bad" : "dim"} />
              ))}
          </span>
          {t.blame.length ? (
            <details>
              <summary className="dim">Which of them deviate most now</summary>
              <ul className="list">
                {t.blame.map((b) => {
                  const n = seriesName(b.name, b.labels ?? {});
                  return (
                    <li key={b.series_id} className="row wrap" style={{ padding: "2px 0", gap: "0 12px" }}>
                      <Meter label="" share={b.share} text={percent(b.share)} />
                      <Link to="/explore" search={{ series: b.series_id }} className="wrap-anywhere">
                        {n.what} {n.which}
                      </Link>
                      <span className="dim">
                        {value(b.observed, b.unit)} for {value(b.expected, b.unit)}
                      </span>
                    </li>
                  );
                })}
              </ul>
            </details>
          ) : null}
          {t.constant.length + t.young.length > 0 ? (
            <span className="dim wrap-anywhere">
              {t.constant.length ? `Never move: ${t.constant.join(", ")}. ` : ""}
              {t.young.length ? `Too young: ${t.young.join(", ")}.` : ""}
            </span>
          ) : null}
        </>
      )}
    </div>
  );
}

/** How one series is judged, and what it does now. */
export function Explain({ id, full = true }: { id: string; full?: boolean }) {
  const q = useQuery(seriesQuery(id));
  const now = useNow();
  if (q.error && !q.data) return <ErrorNotice what="how this series is judged" error={q.error} />;
  const e = q.data?.explanation;
  if (!e) return <Loading lines={1} height={90} />;
  const s = q.data!.series;
  return (
    <section className={full ? "card in stack explain" : "stack explain inline"} aria-label="How this series is judged">
      <div className="row wrap">
        <State e={e} />
        {s.less ? <span className="tag warn" title={s.less}>{tierWord[s.tier] ?? s.tier}</span> : null}
      </div>
      {e.phase === "learning" || e.points === 0 ? null : <Band e={e} unit={s.unit} />}
      <p>{e.sentence}</p>
      <Actions s={s} e={e} />
      {e.driver ? <Load d={e.driver} unit={s.unit} /> : null}
      {e.together ? <Joint t={e.together} entity={s.entity} now={now} /> : null}
      <details open={full || undefined}>
        <summary className="dim">What was chosen</summary>
        <div className="scrollx" tabIndex={0} role="region" aria-label="What was chosen">
          <Members e={e} />
          <Facts s={s} e={e} />
        </div>
      </details>
      <div className="mono dim wrap-anywhere">{s.expr}</div>
    </section>
  );
}
