import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { Anomaly, Incident } from "../api/client";
import { incidentQuery } from "../api/queries";
import { Ago, ErrorNotice, Loading, Meter, Stale, StateMark, Time } from "../components/bits";
import { Chain } from "../components/Chain";
import { Actions } from "../components/Actions";
import { Deviations, EvidenceList, Timeline } from "../components/Evidence";
import { ChangeIcon } from "../components/Icons";
import { Lanes } from "../components/Lanes";
import { Remedies } from "../components/Remedies";
import { AnomalyChart, ChartLegend } from "../components/SeriesChart";
import { WindowBar } from "../components/WindowBar";
import { SpanPicker } from "../components/SpanPicker";
import { keyOf } from "../lib/chain";
import { duration, percent, plural } from "../lib/format";
import { useNow } from "../state/clock";
import { resolve } from "../state/span";

const minute = 60_000;
const firstCharts = 8;
const roleOrder: Record<string, number> = { root: 0, intermediate: 1, symptom: 2, bystander: 3 };

/** One chart a series, along the chain from the root, the strongest first within an entity. */
function pickCharts(i: Incident): Anomaly[] {
  const place = new Map((i.causes ?? []).map((c, n) => [keyOf(c.entity), (roleOrder[c.role] ?? 4) * 1000 + n]));
  const seen = new Set<string>();
  return [...(i.anomalies ?? [])]
    .sort((a, b) => (place.get(keyOf(a.entity)) ?? 9e6) - (place.get(keyOf(b.entity)) ?? 9e6) || b.severity - a.severity)
    .filter((a) => a.series_id !== "0" && !seen.has(a.series_id) && seen.add(a.series_id));
}

/** From well before the onset until it ended, or now. */
function defaultSpan(i: Incident): { from: string; to: string } {
  const end = i.resolved_unix_ms;
  const length = end ? end - i.onset_unix_ms : 0;
  const before = Math.min(6 * 60 * minute, Math.max(30 * minute, length));
  return { from: String(i.onset_unix_ms - before), to: end ? String(end + 10 * minute) : "now" };
}

function Headline({ i, now }: { i: Incident; now: number }) {
  const open = !i.resolved_unix_ms;
  const changes = i.causes?.find((c) => c.role === "root")?.changes ?? [];
  return (
    <div className="headline">
      <div className="row wrap" style={{ gap: 12 }}>
        <StateMark state={i.state as "open"} />
        <span className="dim">
          {open ? (
            <>
              <Ago at={i.onset_unix_ms} now={now} prefix="for " suffix="" />, since <Time at={i.onset_unix_ms} now={now} />
            </>
          ) : (
            <>
              <Time at={i.onset_unix_ms} now={now} /> to <Time at={i.resolved_unix_ms} now={now} />, {duration(i.resolved_unix_ms - i.onset_unix_ms)}
            </>
          )}
        </span>
        <Meter label="impact" share={i.impact} text={percent(i.impact)} tone={i.impact >= 0.1 ? "bad" : "warn"} />
        <Meter label="confidence" share={i.confidence} text={percent(i.confidence)} />
        <span className="dim">{plural(i.alerts, "signal")} folded in</span>
      </div>
      <h1>{i.title}</h1>
      <p className="sentence">{i.sentence}</p>
      {i.severity_level || i.team ? (
        <p className="dim wrap-anywhere">
          {i.severity_level ? `${i.severity_level}: ${i.severity_text}` : null}
          {i.team ? `${i.severity_level ? "; " : ""}team ${i.team}` : null}
        </p>
      ) : null}
      {(i.harm?.slos ?? []).slice(0, 1).map((h) => (
        <p key={h.slo} className="dim wrap-anywhere">
          Objective {h.slo} of {h.entity.name}: {h.text}
        </p>
      ))}
      {i.verdict === "unknown" ? <p className="dim">No cause stands out. Norn shows what deviates and does not guess.</p> : null}
      {i.merged_into ? (
        <p>
          Merged into{" "}
          <Link to="/incidents/$id" params={{ id: i.merged_into }} search={{}}>
            another incident
          </Link>
          .
        </p>
      ) : null}
      {changes.map((c) => (
        <div key={c.id} className="row wrap">
          <span className="tag accent">
            <ChangeIcon />
            <span className="wrap-anywhere">
              {c.kind}: {c.title}
            </span>
          </span>
          <span className="dim">
            {c.entity.name}, <Time at={c.time_unix_ms} now={now} />
            {c.time_unix_ms <= i.onset_unix_ms ? `, ${duration(i.onset_unix_ms - c.time_unix_ms)} before the first sign` : ""}
            {c.actor ? `, by ${c.actor}` : ""}
          </span>
          {c.link && /^https?:\/\//.test(c.link) ? (
            <a href={c.link} rel="noreferrer noopener" target="_blank">
              open
            </a>
          ) : null}
        </div>
      ))}
    </div>
  );
}

function Charts({ i, now }: { i: Incident; now: number }) {
  const search = useSearch({ from: "/incidents/$id" });
  const navigate = useNavigate();
  const [all, setAll] = useState(false);
  const usual = useMemo(() => defaultSpan(i), [i]);
  const span = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  const list = useMemo(() => pickCharts(i), [i]);
  const changes = useMemo(() => (i.changes ?? []).map((c) => ({ at: c.time_unix_ms, text: c.title })), [i]);
  const go = (s: { from?: string | undefined; to?: string | undefined }) =>
    void navigate({ to: "/incidents/$id", params: { id: i.id }, search: s, replace: true, resetScroll: false });
  return (
    <section className="card" aria-labelledby="charts-h">
      <header style={{ flexWrap: "wrap" }}>
        <h2 id="charts-h">
          Timeline and signals<span className="count">{list.length}</span>
        </h2>
        <span className="grow" />
        <SpanPicker span={span} fallback={usual.from} onChange={go} />
      </header>
      {search.from ? (
        <div style={{ padding: "10px 14px 0" }}>
          <WindowBar from={from} to={to} now={now} back={() => go({})} />
        </div>
      ) : null}
      <Lanes incident={i} from={from} to={to} now={now} onZoom={(f, t) => go({ from: String(f), to: String(t) })} />
      {list.length ? (
        <>
          <div style={{ padding: "0 14px" }}>
            <ChartLegend />
          </div>
          <div className="charts">
            {list.slice(0, all ? 60 : firstCharts).map((a) => (
              <AnomalyChart key={a.series_id} anomaly={a} span={span} from={from} to={to} onset={a.onset_unix_ms} changes={changes} syncKey={`incident-${i.id}`} height={132} onZoom={(f, t) => go({ from: String(f), to: String(t) })} />
            ))}
          </div>
          {list.length > firstCharts && !all ? (
            <div className="in" style={{ paddingTop: 0 }}>
              <button type="button" className="btn" onClick={() => setAll(true)}>
                Show {Math.min(60, list.length) - firstCharts} more
              </button>
            </div>
          ) : null}
        </>
      ) : (
        <div className="empty">No metric deviates in this incident; see the evidence.</div>
      )}
    </section>
  );
}

export function IncidentPage() {
  const { id } = useParams({ from: "/incidents/$id" });
  const now = useNow();
  const q = useQuery(incidentQuery(id));
  const [focus, setFocus] = useState("");
  const i = q.data;
  useEffect(() => {
    document.title = i ? `${i.title} · Norn` : "Incident · Norn";
  }, [i]);
  if (q.isPending) return <Loading lines={4} height={110} />;
  if (!i) return <ErrorNotice what="this incident" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  const pick = (key: string) => {
    setFocus((f) => (f === key ? "" : key));
    document.getElementById("evidence-h")?.scrollIntoView({ block: "nearest" });
  };
  return (
    <div className="page fade">
      <Stale what="this incident" error={q.error} at={q.dataUpdatedAt} now={now} />
      <Headline i={i} now={now} />
      <Actions incident={i} />
      <div className="split">
        <div className="page">
          <section className="card" aria-labelledby="chain-h">
            <header>
              <h2 id="chain-h">Cause chain</h2>
              <span className="faint desktop-only">trouble flows from the root to users; shares say how much of the excess is explained</span>
            </header>
            <Chain incident={i} onPick={pick} />
          </section>
          <Charts i={i} now={now} />
          <Deviations incident={i} now={now} />
        </div>
        <div className="page">
          <Remedies id={i.id} />
          <EvidenceList incident={i} now={now} focus={focus} clear={() => setFocus("")} />
          <Timeline incident={i} now={now} />
        </div>
      </div>
    </div>
  );
}
