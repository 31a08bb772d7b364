import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import type { Service, Status } from "../api/client";
import { incidentsQuery, servicesQuery, statusQuery } from "../api/queries";
import { Ago, cellTone, ErrorNotice, Fact, Glyph, Loading, Spark, Stale } from "../components/bits";
import { IncidentRow } from "../components/IncidentRow";
import { compact, duration, percent, plural, value } from "../lib/format";
import { useNow } from "../state/clock";
import { useListKeys } from "../state/keys";

function Facts({ s, now }: { s: Status; now: number }) {
  const skew = s.skews[0];
  return (
    <div className="card facts">
      <Fact value={compact(s.series_watched)} label="series watched" />
      {s.series_learning > 0 ? <Fact value={compact(s.series_learning)} label="still learning" title="Too young to be judged" /> : null}
      {s.series_unwatched > 0 ? (
        <Fact value={compact(s.series_unwatched)} label="not watched" title={s.unwatched_reasons.map((r) => `${r.name}: ${r.count}`).join("\n")} />
      ) : null}
      {s.tiers.reduced > 0 ? (
        <Fact value={compact(s.tiers.reduced)} label="not fully watched" title={`${s.tiers.short}: ${s.tiers.counter} series are only counted`} />
      ) : null}
      <Fact value={compact(s.points)} label={`points in ${duration(s.uptime_ms)}`} title="Samples taken in since Norn started" />
      <Fact value={compact(s.logs)} label="log lines" />
      <Fact value={compact(s.spans)} label="spans" />
      <Fact value={String(s.alerts_raised_24h)} label="alerts raised, 24 h" title="Incidents opened in the last 24 hours" />
      <Fact value={`${s.anomalies_24h_is_lower_bound ? "≥ " : ""}${compact(s.anomalies_24h)}`} label="anomalies, 24 h" title="Most are folded into incidents or stay below them" />
      {s.rejected > 0 ? <Fact value={compact(s.rejected)} label="items refused" title={s.rejects.map((r) => `${r.name}: ${r.count}`).join("\n")} /> : null}
      {skew && Math.abs(skew.offset_ms) >= 1000 ? (
        <Fact value={`${skew.offset_ms > 0 ? "+" : "-"}${duration(Math.abs(skew.offset_ms))}`} label={`clock of ${skew.sender}`} title={s.skews.map((k) => `${k.sender}: ${k.offset_ms} ms`).join("\n")} />
      ) : null}
      <Fact value={s.feed.state === "none" ? "none yet" : <Ago at={s.feed.last_received_unix_ms} now={now} />} label="last telemetry" />
    </div>
  );
}

function Quiet({ s, now }: { s: Status; now: number }) {
  if (s.feed.state === "none")
    return (
      <div className="empty">
        <b>No telemetry yet</b>
        Norn is up, but nothing has arrived. Point an OTLP exporter at port 4317, Prometheus remote write at <span className="mono">/api/v1/write</span> of this
        server, or syslog at it.
      </div>
    );
  const last = s.last_incident;
  return (
    <div className="empty">
      <b>
        <Glyph tone="good" size={15} /> No open incident
      </b>
      {plural(s.series_watched, "series", "series")} watched, {compact(s.points)} points in {duration(s.uptime_ms)},{" "}
      {s.alerts_raised_24h === 0 ? "no alert raised" : `${plural(s.alerts_raised_24h, "alert")} raised`} in 24 h.
      <br />
      {last ? (
        <>
          Last incident:{" "}
          <Link to="/incidents/$id" params={{ id: last.id }} search={{}}>
            {last.title}
          </Link>
          , <Ago at={last.onset_unix_ms} now={now} />.
        </>
      ) : (
        "There has been no incident so far."
      )}
      {s.feed.state === "stalled" ? (
        <div className="tone-quiet">
          But no telemetry came for {duration(now - s.feed.last_received_unix_ms)}: quiet may mean blind.
        </div>
      ) : null}
      {s.series_watched === 0 ? <div>No series is old enough to be judged yet.</div> : null}
    </div>
  );
}

function Cell({ s }: { s: Service }) {
  const measured = s.request_rate !== null || s.error_ratio !== null || s.p95_seconds !== null;
  const body = (
    <>
      <div className="top">
        <Glyph tone={cellTone[s.state]} />
        <span className="name">{s.entity.name}</span>
      </div>
      <div className="text" title={s.text}>
        {s.entity.kind !== "service" ? <span className="kind">{s.entity.kind} </span> : null}
        {s.state === "ok" ? <span className="sr-only">well</span> : `${s.state}${s.text ? `: ${s.text}` : ""}`}
      </div>
      {s.slo ? (
        <div className="text" title={s.slo}>
          {s.slo}
        </div>
      ) : null}
      {s.spark.length > 1 ? <Spark values={s.spark} /> : null}
      {measured ? <div className="nums">
        <div title="Requests a second">
          <small>rate</small>
          {s.request_rate === null ? value(null) : `${value(s.request_rate, "")}/s`}
        </div>
        <div title="Share of failed requests">
          <small>errors</small>
          {s.error_ratio !== null && s.error_ratio > 0 && s.error_ratio < 0.001 ? "< 0.1 %" : percent(s.error_ratio)}
        </div>
        <div title="95th percentile of latency">
          <small>p95</small>
          {value(s.p95_seconds, "s")}
        </div>
      </div> : <div className="text unmeasured">no requests of its own</div>}
    </>
  );
  const cls = `cell ${s.state}`;
  const hint = `${s.entity.kind}/${s.entity.name}`;
  const title = s.team ? `${hint}, team ${s.team}` : hint;
  return s.incident_id ? (
    <Link className={cls} to="/incidents/$id" params={{ id: s.incident_id }} search={{}} title={title}>
      {body}
    </Link>
  ) : (
    <Link className={cls} to="/explore" search={{ entity: hint }} title={title}>
      {body}
    </Link>
  );
}

function Services() {
  const q = useQuery(servicesQuery);
  const list = q.data?.services ?? [];
  const ill = list.filter((s) => s.state !== "ok").length;
  return (
    <section className="card" aria-labelledby="services-h">
      <header>
        <h2 id="services-h">
          Services
          <span className="count">{list.length ? `${list.length}${ill ? `, ${ill} not well` : ", all well"}` : ""}</span>
        </h2>
      </header>
      {q.isPending ? (
        <div className="cells" aria-busy="true">
          {Array.from({ length: 12 }, (_, i) => (
            <div className="cell" key={i} />
          ))}
        </div>
      ) : q.error && !q.data ? (
        <div className="in"><ErrorNotice what="the services" error={q.error} retry={() => void q.refetch()} /></div>
      ) : list.length === 0 ? (
        <div className="empty">No service seen yet. Services appear from traces, or from metrics that name one.</div>
      ) : (
        <div className="cells">
          {list.map((s) => (
            <Cell key={`${s.entity.kind}/${s.entity.name}`} s={s} />
          ))}
        </div>
      )}
    </section>
  );
}

export function NowPage() {
  const now = useNow();
  const navigate = useNavigate();
  const status = useQuery(statusQuery);
  const q = useQuery(incidentsQuery("active", "rank"));
  const list = q.data?.incidents ?? [];
  const selected = useListKeys(list.length, (i) => void navigate({ to: "/incidents/$id", params: { id: list[i]!.id }, search: {} }));
  useEffect(() => {
    document.title = list.length ? `(${list.length}) Norn` : "Norn";
  }, [list.length]);
  return (
    <div className="page">
      <h1 className="sr-only">Now</h1>
      <Stale what="the open incidents" error={q.data ? q.error : null} at={q.dataUpdatedAt} now={now} />
      <section className="card" aria-labelledby="open-h">
        <header>
          <h2 id="open-h">
            Open incidents
            <span className="count">{list.length > 0 ? `${list.length}, worst first` : ""}</span>
          </h2>
        </header>
        {q.isPending || (status.isPending && list.length === 0) ? (
          <div className="in"><Loading lines={2} height={56} /></div>
        ) : q.error && !q.data ? (
          <div className="in"><ErrorNotice what="the open incidents" error={q.error} retry={() => void q.refetch()} /></div>
        ) : list.length > 0 ? (
          <div className="incidents">
            {list.map((i, n) => (
              <IncidentRow key={i.id} incident={i} now={now} selected={n === selected} />
            ))}
          </div>
        ) : status.data ? (
          <Quiet s={status.data} now={now} />
        ) : null}
      </section>
      <Services />
      {status.data ? <Facts s={status.data} now={now} /> : status.error ? <ErrorNotice what="its own status" error={status.error} retry={() => void status.refetch()} /> : <Loading lines={1} height={66} />}
    </div>
  );
}
