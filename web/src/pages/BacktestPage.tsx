import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent } from "react";
import { post, type Schemas } from "../api/client";
import { backtestQuery, backtestsQuery } from "../api/queries";
import { EntityName, ErrorNotice, Fact, Loading, Mark, Stale, Time } from "../components/bits";
import { compact, duration, percent, value } from "../lib/format";
import { useNow } from "../state/clock";

type Backtest = Schemas["Backtest"];
type Report = Schemas["BacktestReport"];
type Pair = Schemas["BacktestPair"];

const example = "detection:\n  false_alarms_per_series_week: 0.01\n";
const shown = 100;
const outcomes = { both: ["dim", "both"], only_before: ["warn", "missed"], only_after: ["quiet", "new"] } as const;
const states = { running: ["quiet", "Running"], done: ["good", "Done"], failed: ["bad", "Failed"], stopped: ["dim", "Stopped"] } as const;

function Start() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [from, setFrom] = useState("-7d");
  const [to, setTo] = useState("now");
  const [change, setChange] = useState(example);
  const start = useMutation({
    mutationFn: () => post("/api/v1/backtests", { body: { from, to, change } }),
    onSuccess: (b) => {
      void client.invalidateQueries({ queryKey: ["backtests"] });
      void navigate({ to: "/backtest", search: { id: b.id } });
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    start.mutate();
  };
  return (
    <section className="card" aria-labelledby="try-h">
      <header>
        <h2 id="try-h">Try a change</h2>
        <span className="faint desktop-only">stored history is judged under the present settings and under these</span>
      </header>
      <form className="in stack" onSubmit={submit}>
        <textarea className="field wide mono" style={{ height: 110, padding: 10, resize: "vertical" }} spellCheck={false} aria-label="Proposed settings, YAML" value={change} onChange={(e) => setChange(e.target.value)} />
        <div className="row wrap">
          <input className="field" style={{ width: 130 }} aria-label="From" title="RFC 3339, or an age such as -7d" value={from} onChange={(e) => setFrom(e.target.value)} />
          <input className="field" style={{ width: 130 }} aria-label="To" title="RFC 3339, an age, or now" value={to} onChange={(e) => setTo(e.target.value)} />
          <Button size="xs" type="submit" loading={start.isPending}>
            Run backtest
          </Button>
        </div>
        {start.error ? <ErrorNotice verb="start" what="the backtest" error={start.error} /> : null}
      </form>
    </section>
  );
}

function Costs({ r }: { r: Report }) {
  const rows: [string, string, string][] = [
    ["alarms", compact(r.present.alarms), compact(r.proposed.alarms)],
    ["muted", compact(r.present.muted), compact(r.proposed.muted)],
    ["series", compact(r.present.series), compact(r.proposed.series)],
    ["memory", value(r.present.state_bytes, "By"), value(r.proposed.state_bytes, "By")],
    ["CPU", value(r.present.cpu_seconds, "s"), value(r.proposed.cpu_seconds, "s")],
  ];
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">settings</th>
          <th scope="col" className="r">present</th>
          <th scope="col" className="r">proposed</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, a, b]) => (
          <tr key={name}>
            <td>{name}</td>
            <td className="r num">{a}</td>
            <td className="r num">{b}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function AlarmRow({ p, now }: { p: Pair; now: number }) {
  const [tone, word] = outcomes[p.outcome];
  const gap = p.earlier_ms === 0 ? "same time" : `${duration(Math.abs(p.earlier_ms))} ${p.earlier_ms > 0 ? "earlier" : "later"}`;
  return (
    <li className="in stack" style={{ gap: 3, borderTop: "1px solid var(--line)" }}>
      <div className="row wrap" style={{ gap: 10 }}>
        <Mark tone={tone}>{word}</Mark>
        <EntityName entity={p.entity} />
        <span className="dim">{(p.before ?? p.after)?.kind.replace("_", " ")}</span>
      </div>
      <Link to="/explore" search={{ series: p.series_id, from: String(((p.before ?? p.after)?.onset_unix_ms ?? now) - 3_600_000), to: String(((p.before ?? p.after)?.time_unix_ms ?? now) + 3_600_000) }} className="wrap-anywhere">
        {p.series}
      </Link>
      <div className="row wrap dim" style={{ gap: 10 }}>
        <span>
          before <Time at={p.before?.time_unix_ms ?? 0} now={now} seconds />
        </span>
        <span>
          after <Time at={p.after?.time_unix_ms ?? 0} now={now} seconds />
        </span>
        {p.outcome === "both" ? <span>{gap}</span> : null}
      </div>
    </li>
  );
}

function Result({ r, now }: { r: Report; now: number }) {
  const m = r.marks;
  return (
    <>
      <section className="card" aria-labelledby="sums-h">
        <header>
          <h2 id="sums-h">Before and after</h2>
        </header>
        <div className="in stack">
          <div className="facts">
            <Fact value={compact(r.sums.both)} label="in both" />
            <Fact value={compact(r.sums.only_before)} label="missed" title="only under the present settings" />
            <Fact value={compact(r.sums.only_after)} label="new" title="only under the proposed settings" />
            <Fact value={compact(r.sums.earlier)} label="earlier" />
            <Fact value={compact(r.sums.later)} label="later" />
            <Fact value={`${m.real_lost} of ${m.real}`} label="marked real, lost" />
            <Fact value={`${m.noise_saved} of ${m.noise}`} label="marked noise, saved" />
          </div>
          {r.notes.map((n) => (
            <div key={n} className="dim wrap-anywhere">
              {n}
            </div>
          ))}
        </div>
        <Costs r={r} />
      </section>
      {m.incidents.length ? (
        <section className="card" aria-labelledby="marks-h">
          <header>
            <h2 id="marks-h">
              Marked incidents<span className="count">{m.incidents.length}</span>
            </h2>
          </header>
          <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
            {m.incidents.slice(0, shown).map((i) => (
              <li key={i.id} className="in row wrap" style={{ gap: 10, borderTop: "1px solid var(--line)" }}>
                <Mark tone={i.mark === "real" ? "bad" : "dim"}>{i.mark}</Mark>
                <Link to="/incidents/$id" params={{ id: i.id }} search={{}} className="wrap-anywhere">
                  {i.title}
                </Link>
                <span className="dim">
                  {i.before ? "seen" : "not seen"} before, {i.after ? "seen" : "not seen"} after
                </span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <section className="card" aria-labelledby="alarms-h">
        <header>
          <h2 id="alarms-h">
            Alarms<span className="count">{r.alarms.length + r.alarms_left_out}</span>
          </h2>
          <span className="faint desktop-only">what differs comes first</span>
        </header>
        {r.alarms.length === 0 ? <div className="empty">Neither settings raise an alarm in this range.</div> : null}
        <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
          {r.alarms.slice(0, shown).map((p, n) => (
            <AlarmRow key={n} p={p} now={now} />
          ))}
        </ul>
        {r.alarms.length + r.alarms_left_out > shown ? <div className="in dim">The first {shown} are shown; norn backtest -o json has more.</div> : null}
      </section>
    </>
  );
}

function One({ b, now }: { b: Backtest; now: number }) {
  const client = useQueryClient();
  const stop = useMutation({
    mutationFn: () => post("/api/v1/backtests/{id}/stop", { path: { id: b.id } }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["backtest", b.id] }),
  });
  const [tone, word] = states[b.state];
  return (
    <>
      <section className="card in stack" aria-label="Backtest">
        <div className="row wrap" style={{ gap: 10 }} role="status">
          <Mark tone={tone}>{word}</Mark>
          <span className="dim">
            <Time at={b.from_unix_ms} now={now} /> to <Time at={b.to_unix_ms} now={now} />
          </span>
          {b.state === "running" ? (
            <>
              <progress value={b.progress} max={1} aria-label="Progress" />
              <span className="num">{percent(b.progress)}</span>
              <Button size="xs" variant="default" onClick={() => stop.mutate()} loading={stop.isPending}>
                Stop
              </Button>
            </>
          ) : null}
        </div>
        <pre className="mono" style={{ margin: 0, whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{b.change}</pre>
        {b.error ? <ErrorNotice verb="finish" what="the backtest" error={new Error(b.error)} /> : null}
      </section>
      {b.report ? <Result r={b.report} now={now} /> : null}
    </>
  );
}

export function BacktestPage() {
  const { id } = useSearch({ from: "/backtest" });
  const now = useNow();
  const list = useQuery(backtestsQuery);
  const chosen = id ?? list.data?.backtests[0]?.id ?? "";
  const one = useQuery(backtestQuery(chosen));
  useEffect(() => {
    document.title = "Backtest · Norn";
  }, []);
  return (
    <div className="page">
      <div className="pagehead">
        <h1>Backtest</h1>
      </div>
      <Start />
      <Stale what="the backtest" error={one.data ? one.error : null} at={one.dataUpdatedAt} now={now} />
      {one.data ? <One b={one.data} now={now} /> : one.error ? <ErrorNotice what="this backtest" error={one.error} retry={() => void one.refetch()} /> : chosen || list.isPending ? <Loading lines={3} height={56} /> : null}
      {(list.data?.backtests.length ?? 0) > 1 ? (
        <section className="card" aria-labelledby="last-h">
          <header>
            <h2 id="last-h">The last ones</h2>
          </header>
          <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
            {list.data?.backtests.map((b) => (
              <li key={b.id} className="in row wrap" style={{ gap: 10, borderTop: "1px solid var(--line)" }}>
                <Mark tone={states[b.state][0]}>{states[b.state][1]}</Mark>
                <Link to="/backtest" search={{ id: b.id }}>
                  <Time at={b.started_unix_ms} now={now} seconds />
                </Link>
                <span className="dim wrap-anywhere">{b.change.trim().slice(0, 120)}</span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </div>
  );
}
