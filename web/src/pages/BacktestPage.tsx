import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { post, put as send, type Schemas } from "../api/client";
import { backtestQuery, backtestsQuery, detectionQuery } from "../api/queries";
import { ErrorNotice, Fact, Loading, Mark, Stale, Time } from "../components/bits";
import { differences, differenceText, type Config } from "../lib/detection";
import { compact, duration, percent, plural, value } from "../lib/format";
import { useNow } from "../state/clock";
import { Alarms } from "./backtest/Alarms";
import { Changes } from "./backtest/Changes";
import { Start } from "./backtest/Start";
import { DetectionTabs } from "./DetectionPage";

type Backtest = Schemas["Backtest"];
type Report = Schemas["BacktestReport"];

const shown = 50;
const states = { running: ["quiet", "Running"], done: ["good", "Done"], failed: ["bad", "Failed"], stopped: ["dim", "Stopped"] } as const;

const relative = (a: number, b: number) => (a > 0 && Math.abs(b / a - 1) >= 0.005 ? `${b > a ? "+" : "-"}${percent(Math.abs(b / a - 1))}` : "");

function Costs({ r }: { r: Report }) {
  const [p, q] = [r.present, r.proposed];
  const rows: [string, number, number, (v: number) => string][] = [
    ["alarms", p.alarms, q.alarms, compact],
    ["muted", p.muted, q.muted, compact],
    ["series watched", p.series, q.series, compact],
    ["explained by load", p.explained_by_load, q.explained_by_load, compact],
    ["entities judged jointly", p.entities_jointly, q.entities_jointly, compact],
    ["memory", p.state_bytes, q.state_bytes, (v) => value(v, "By")],
    ["CPU", p.cpu_seconds, q.cpu_seconds, (v) => value(v, "s")],
    ["CPU a point", p.ns_per_point / 1e9, q.ns_per_point / 1e9, (v) => value(v, "s")],
  ];
  return (
    <section className="card" aria-labelledby="costs-h">
      <header>
        <h2 id="costs-h">Alarms and cost</h2>
      </header>
      <table className="table costs">
        <thead>
          <tr>
            <th scope="col">
              <span className="sr-only">what</span>
            </th>
            <th scope="col" className="r">present</th>
            <th scope="col" className="r">proposed</th>
            <th scope="col" className="r">
              <span className="sr-only">difference</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, a, b, show]) => (
            <tr key={name}>
              <td>{name}</td>
              <td className="r num">{show(a)}</td>
              <td className="r num">{show(b)}</td>
              <td className="r num dim">{relative(a, b)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Sums({ r }: { r: Report }) {
  const m = r.marks;
  return (
    <section className="card" aria-labelledby="sums-h">
      <header>
        <h2 id="sums-h">Before and after</h2>
      </header>
      <div className="facts">
        <Fact value={<span className={r.sums.only_before ? "tone-bad" : ""}>{compact(r.sums.only_before)}</span>} label="missed" title="only under the present settings" />
        <Fact value={<span className={r.sums.only_after ? "tone-quiet" : ""}>{compact(r.sums.only_after)}</span>} label="new" title="only under the proposed settings" />
        <Fact value={<span className={r.sums.later ? "tone-warn" : ""}>{compact(r.sums.later)}</span>} label="later" />
        <Fact value={<span className={r.sums.earlier ? "tone-good" : ""}>{compact(r.sums.earlier)}</span>} label="earlier" />
        <Fact value={compact(r.sums.same_time)} label="at the same time" />
      </div>
      {m.real + m.noise + m.beside_metrics > 0 ? (
        <div className="facts">
          <Fact value={<span className={m.real_lost ? "tone-bad" : ""}>{`${m.real_lost} of ${m.real}`}</span>} label="marked real, lost" title="Incidents that an operator marked as real and that the change would not see any more" />
          <Fact value={<span className={m.noise_saved ? "tone-good" : ""}>{`${m.noise_saved} of ${m.noise}`}</span>} label="marked noise, saved" />
          {m.real_gained ? <Fact value={compact(m.real_gained)} label="marked real, gained" /> : null}
          {m.noise_added ? <Fact value={<span className="tone-bad">{compact(m.noise_added)}</span>} label="marked noise, added" /> : null}
          {m.beside_metrics ? <Fact value={compact(m.beside_metrics)} label="marked, not of metrics" /> : null}
        </div>
      ) : (
        <div className="in dim">No incident of this range is marked real or noise; with marks, this says which of them the change would lose.</div>
      )}
      {r.notes.map((n) => (
        <div key={n} className="in dim wrap-anywhere" style={{ paddingTop: 0 }}>
          Not replayed: {n}.
        </div>
      ))}
    </section>
  );
}

function Marked({ r }: { r: Report }) {
  const list = r.marks.incidents;
  if (list.length === 0) return null;
  return (
    <section className="card" aria-labelledby="marks-h">
      <header>
        <h2 id="marks-h">
          Marked incidents<span className="count">{list.length}</span>
        </h2>
      </header>
      <ul className="list">
        {list.slice(0, shown).map((i) => (
          <li key={i.id} className="entry" style={{ alignItems: "center" }}>
            <Mark tone={i.mark === "real" ? "bad" : "dim"}>{i.mark}</Mark>
            <Link to="/incidents/$id" params={{ id: i.id }} search={{}} className="grow wrap-anywhere">
              {i.title}
            </Link>
            <span className={i.before !== i.after ? (i.after === (i.mark === "real") ? "tone-good" : "tone-bad") : "dim"}>
              {i.before ? "seen" : "not seen"} before, {i.after ? "seen" : "not seen"} after
            </span>
          </li>
        ))}
      </ul>
      {list.length > shown ? <div className="in dim">The first {shown} are shown.</div> : null}
    </section>
  );
}

/** Puts what was tried into force, over what is set now. */
function PutIntoForce({ stored }: { stored: Config }) {
  const client = useQueryClient();
  const q = useQuery(detectionQuery);
  const apply = useMutation({
    mutationFn: (revision: number) => send("/api/v1/detection", { body: { revision, ...stored } }),
    onSuccess: (fresh) => client.setQueryData(["detection"], fresh),
  });
  if (!q.data) return null;
  const ds = differences(q.data.stored, stored);
  if (ds.length === 0) return <Mark tone="good">In force</Mark>;
  return (
    <div className="stack" style={{ gap: 6 }}>
      <Changes from={q.data.stored} to={stored} />
      <div className="row wrap">
        <Button size="xs" variant="default" loading={apply.isPending} onClick={() => apply.mutate(q.data.revision)}>
          Put into force
        </Button>
        <span className="dim">{differenceText(ds)}, beside what is set now</span>
      </div>
      {apply.error ? <ErrorNotice verb="put into force" what="this change" error={apply.error} /> : null}
    </div>
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
      <section className="card" aria-labelledby="bt-h">
        <div className="in stack">
          <h2 id="bt-h" className="sr-only">
            Backtest
          </h2>
          <div className="row wrap" style={{ gap: 10 }} role="status">
            <Mark tone={tone}>{word}</Mark>
            <span className="dim">
              <Time at={b.from_unix_ms} now={now} /> to <Time at={b.to_unix_ms} now={now} />, {duration(b.to_unix_ms - b.from_unix_ms)}
              {b.report ? <>, models learnt from <Time at={b.report.warmup_from_unix_ms} now={now} /> on</> : null}
              {b.finished_unix_ms ? `, took ${duration(b.finished_unix_ms - b.started_unix_ms)}` : ""}
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
          {b.change ? <pre className="mono pre">{b.change.trimEnd()}</pre> : null}
          {b.stored ? <PutIntoForce stored={b.stored} /> : null}
          {b.error ? <ErrorNotice verb="finish" what="the backtest" error={new Error(b.error)} /> : null}
        </div>
      </section>
      {b.report ? (
        <>
          <div className="halves">
            <Sums r={b.report} />
            <Costs r={b.report} />
          </div>
          <Alarms key={b.id} r={b.report} now={now} />
          <Marked r={b.report} />
        </>
      ) : null}
    </>
  );
}

const tried = (b: Backtest) =>
  b.change.trim().replace(/\s+/g, " ") || (b.stored ? [plural(b.stored.rules.length, "rule"), plural(b.stored.mutes.length, "mute"), plural(b.stored.custom_metrics.length, "custom metric")].join(", ") : "");

export function BacktestPage() {
  const { id, draft } = useSearch({ from: "/backtest" });
  const now = useNow();
  const list = useQuery(backtestsQuery);
  const settings = useQuery(detectionQuery);
  const chosen = draft ? "" : (id ?? list.data?.backtests[0]?.id ?? "");
  const one = useQuery(backtestQuery(chosen));
  useEffect(() => {
    document.title = "Backtest · Norn";
  }, []);
  const start = <Start key={`${draft}`} present={settings.data?.stored} draft={!!draft} />;
  return (
    <div className="page">
      <div className="pagehead">
        <h1 className="sr-only">Backtest</h1>
        <DetectionTabs backtest />
      </div>
      {chosen ? null : start}
      <Stale what="the backtest" error={one.data ? one.error : null} at={one.dataUpdatedAt} now={now} />
      {chosen && one.data ? (
        <One b={one.data} now={now} />
      ) : one.error ? (
        <ErrorNotice what="this backtest" error={one.error} retry={() => void one.refetch()} />
      ) : chosen || list.isPending ? (
        <Loading lines={3} height={56} />
      ) : list.error ? (
        <ErrorNotice what="the backtests" error={list.error} retry={() => void list.refetch()} />
      ) : null}
      {chosen ? start : null}
      {(list.data?.backtests.length ?? 0) > (chosen ? 1 : 0) ? (
        <section className="card" aria-labelledby="last-h">
          <header>
            <h2 id="last-h">The last ones</h2>
          </header>
          <ul className="list">
            {list.data?.backtests.map((b) => (
              <li key={b.id} className="entry" style={{ alignItems: "center" }} aria-current={b.id === chosen || undefined}>
                <Mark tone={states[b.state][0]}>{states[b.state][1]}</Mark>
                <Link to="/backtest" search={{ id: b.id }} className="nowrap">
                  <Time at={b.started_unix_ms} now={now} seconds />
                </Link>
                <span className="dim grow ellipsis">{tried(b).slice(0, 200)}</span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
    </div>
  );
}
