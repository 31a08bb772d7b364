// How operations fare: times, trends that are more than chance, where time is lost.

import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import { reportQuery, type ReportBy } from "../api/queries";
import { ErrorNotice, Fact, Loading, Mark, Meter, Stale } from "../components/bits";
import { compact, duration, percent, plural } from "../lib/format";
import { useNow } from "../state/clock";

type Report = Schemas["Report"];
type Stat = Schemas["ReportStat"];
type Share = Schemas["ReportShare"];

const spans: [string, string][] = [["-7d", "week"], ["-30d", "30 days"], ["-90d", "90 days"], ["-365d", "year"]];
const groupings: ReportBy[] = ["cause", "service", "team", "kind"];
const few = 5; // incidents below which a mean has no interval

const mean = (s: Stat) => (s.n === 0 ? "–" : duration(s.mean_seconds * 1000));
const range = (s: Stat) => (s.n < few ? `of ${plural(s.n, "incident")}: too few for an interval` : `90 % interval ${duration(s.mean_low_seconds * 1000)} to ${duration(s.mean_high_seconds * 1000)}, of ${plural(s.n, "incident")}`);
const part = (s: Share) => (s.of === 0 ? "–" : percent(s.value));
const partRange = (s: Share) => (s.of === 0 ? "nothing to tell it from" : `90 % interval ${percent(s.low)} to ${percent(s.high)}, of ${s.of}`);
const hours = (h: number) => (h > 0 ? duration(h * 3_600_000) : "0");

function Figures({ r }: { r: Report }) {
  const m = r.whole;
  return (
    <section className="card" aria-labelledby="figures-h">
      <header>
        <h2 id="figures-h">Figures</h2>
      </header>
      <div className="facts">
        <Fact value={compact(m.incidents)} label={m.open > 0 ? `incidents, ${m.open} open` : "incidents"} />
        <Fact value={mean(m.mttd)} label="to detect (MTTD)" title={range(m.mttd)} />
        <Fact value={mean(m.mtta)} label="to acknowledge (MTTA)" title={range(m.mtta)} />
        <Fact value={mean(m.mttr)} label="to repair (MTTR)" title={range(m.mttr)} />
        <Fact value={m.mtbf_seconds > 0 ? duration(m.mtbf_seconds * 1000) : "–"} label="between incidents (MTBF)" />
        <Fact value={hours(m.lost_hours)} label="lost" title="From onset to resolved, all incidents added up" />
        <Fact value={compact(m.alerts_per_incident)} label="alerts an incident" />
        <Fact value={part(m.noise)} label="noise, of the marked" title={partRange(m.noise)} />
        <Fact value={part(m.repeats)} label="repeats in 30 days" title={partRange(m.repeats)} />
        <Fact value={part(m.after_change)} label="after a change" title={partRange(m.after_change)} />
        <Fact value={part(m.resolved_unattended)} label="resolved unattended" title={partRange(m.resolved_unattended)} />
      </div>
      {r.notes.map((n) => (
        <div key={n} className="in dim wrap-anywhere" style={{ paddingTop: 0 }}>
          Note: {n}.
        </div>
      ))}
    </section>
  );
}

/** More incidents and longer times are bad news, whatever the figure. */
const tones = { rises: "bad", falls: "good", "no change shown": "dim", "too few to tell": "dim" } as const;

function Trends({ r }: { r: Report }) {
  const most = Math.max(1, ...r.weeks.map((w) => w.incidents));
  return (
    <section className="card" aria-labelledby="trends-h">
      <header>
        <h2 id="trends-h">Trends</h2>
      </header>
      {r.weeks.length > 1 ? (
        <div className="in">
          <svg viewBox={`0 0 ${r.weeks.length * 10} 40`} preserveAspectRatio="none" style={{ width: "100%", height: 64, display: "block" }} role="img" aria-label={`Incidents a week: ${r.weeks.map((w) => w.incidents).join(", ")}`}>
            {r.weeks.map((w, i) => (
              <rect key={w.from_unix_ms} x={i * 10 + 1} width={8} y={40 - (40 * w.incidents) / most} height={(40 * w.incidents) / most} fill="var(--dim)" />
            ))}
          </svg>
          <span className="dim">Incidents a week</span>
        </div>
      ) : null}
      <ul className="list">
        {r.trends.map((t) => (
          <li key={t.figure} className="entry" style={{ alignItems: "center" }}>
            <Mark tone={tones[t.verdict]}>{t.verdict}</Mark>
            <span className="grow wrap-anywhere">{t.sentence}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pareto({ r }: { r: Report }) {
  return (
    <section className="card" aria-labelledby="pareto-h">
      <header>
        <h2 id="pareto-h">
          Where the time goes<span className="count">{r.groups.length}</span>
        </h2>
      </header>
      <div style={{ overflowX: "auto" }} tabIndex={0} role="region" aria-labelledby="pareto-h">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{r.by}</th>
              <th scope="col" className="r">incidents</th>
              <th scope="col" className="r">MTTD</th>
              <th scope="col" className="r">MTTA</th>
              <th scope="col" className="r">MTTR</th>
              <th scope="col" className="r">lost</th>
              <th scope="col">share</th>
              <th scope="col" className="r">together</th>
            </tr>
          </thead>
          <tbody>
            {r.groups.slice(0, 50).map((g) => (
              <tr key={g.name}>
                <td className="wrap-anywhere">{g.name}</td>
                <td className="r num">{compact(g.measures.incidents)}</td>
                <td className="r num" title={range(g.measures.mttd)}>{mean(g.measures.mttd)}</td>
                <td className="r num" title={range(g.measures.mtta)}>{mean(g.measures.mtta)}</td>
                <td className="r num" title={range(g.measures.mttr)}>{mean(g.measures.mttr)}</td>
                <td className="r num">{hours(g.measures.lost_hours)}</td>
                <td>
                  <Meter label="" share={g.lost_share} text={percent(g.lost_share)} />
                </td>
                <td className="r num">{percent(g.lost_share_cumulative)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {r.groups.length > 50 ? <div className="in dim">{plural(r.groups.length - 50, "more")}, with less lost time, are in the printable report.</div> : null}
    </section>
  );
}

function Effort({ r }: { r: Report }) {
  if (r.effort.length === 0) return null;
  return (
    <section className="card" aria-labelledby="effort-h">
      <header>
        <h2 id="effort-h">Where effort pays most</h2>
      </header>
      <ol className="list">
        {r.effort.map((e) => (
          <li key={e.cause} className="entry">
            <span className="grow wrap-anywhere">{e.sentence}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function ReportPage() {
  const s = useSearch({ from: "/report" });
  const navigate = useNavigate();
  const now = useNow();
  const from = s.from ?? "-90d";
  const by = s.by ?? "cause";
  const { data, error, refetch, dataUpdatedAt } = useQuery(reportQuery(from, by));
  const set = (change: { from?: string; by?: ReportBy }) => void navigate({ to: "/report", search: { from, by, ...change }, replace: true });
  return (
    <div className="page">
      <div className="pagehead">
        <h1 className="grow">Report</h1>
        <SegmentedControl size="xs" aria-label="Time" value={from} onChange={(v) => set({ from: v })} data={spans.map(([value, label]) => ({ value, label }))} />
        <SegmentedControl size="xs" aria-label="Grouped by" value={by} onChange={(v) => set({ by: v as ReportBy })} data={groupings.map((g) => ({ value: g, label: `by ${g}` }))} />
        <a className="btn" href={`/api/v1/report.html?from=${encodeURIComponent(from)}&by=${by}`} target="_blank" rel="noreferrer">
          Print or send
        </a>
      </div>
      {error && !data ? <ErrorNotice what="the report" error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading lines={4} height={80} /> : null}
      {data ? (
        <div className="stack">
          <Stale what="the report" error={error} at={dataUpdatedAt} now={now} />
          <p className="wrap-anywhere">{data.sentence}</p>
          <Figures r={data} />
          {data.whole.incidents > 0 ? (
            <>
              <Trends r={data} />
              <Effort r={data} />
              <Pareto r={data} />
            </>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}
