// A chart with its name, newest value and readout, for one watched series or
// one PromQL expression.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState, type ReactNode } from "react";
import type { Anomaly, Entity } from "../api/client";
import { exprQuery, seriesDataQuery, type Span } from "../api/queries";
import type { BandColumns, Columns, Episode } from "../lib/curve";
import { value } from "../lib/format";
import { persistently } from "../lib/retry";
import { labelsOf, seriesName } from "../lib/names";
import { EntityName } from "./bits";
import type { ChartMarker } from "./Chart";

const Chart = lazy(() => persistently(() => import("./Chart")));

interface Common {
  span: Span;
  from: number;
  to: number;
  onset?: number | undefined;
  changes?: ChartMarker[];
  height?: number;
  syncKey?: string;
  onZoom?: (from: number, to: number) => void;
}

interface CardProps extends Common {
  name: string;
  labels: Record<string, string>;
  entity: Entity;
  peer?: Entity | undefined;
  instance?: Entity | undefined;
  unit: string;
  values: Columns | undefined;
  band?: BandColumns | undefined;
  episodes?: Episode[];
  error: Error | null;
  link?: ReactNode;
}

function last(c: Columns | undefined): number | null {
  const v = c?.v ?? [];
  for (let i = v.length - 1; i >= 0; i--) if (typeof v[i] === "number") return v[i]!;
  return null;
}

/** The newest value and, where known, what was expected of it. */
function summary(p: CardProps): string {
  const v = last(p.values);
  if (v === null) return "no value";
  const lo = p.band?.low.findLast((x) => x !== null);
  const hi = p.band?.high.findLast((x) => x !== null);
  const expected = typeof lo === "number" && typeof hi === "number" ? ` · expected ${value(lo, p.unit)} to ${value(hi, p.unit)}` : "";
  return `now ${value(v, p.unit)}${expected}`;
}

function Card(p: CardProps) {
  const [hover, setHover] = useState("");
  const height = p.height ?? 150;
  const says = summary(p);
  const n = seriesName(p.name, p.labels);
  return (
    <figure className="chartcard" style={{ margin: 0 }}>
      <figcaption>
        <div className="chead">
          <EntityName entity={p.entity} kind={false} />
          {p.peer?.name ? <span className="faint ellipsis">→ {p.peer.name}</span> : null}
          <span className="cname dim wrap-anywhere" title={p.name}>
            {n.what}
            {n.which ? ` ${n.which}` : ""}
          </span>
          {p.instance?.name && p.instance.name !== p.entity.name ? <span className="faint ellipsis">{p.instance.name}</span> : null}
          <span className="clink">{p.link}</span>
        </div>
        <div className="readout">{p.values ? hover || says : "\u00a0"}</div>
      </figcaption>
      {p.error && !p.values ? (
        <div className="chartbox" style={{ height }}>
          <div className="chartempty" role="alert">
            <span>
              Norn could not load this series. <span className="dim">{p.error.message}</span>
            </span>
          </div>
        </div>
      ) : p.values ? (
        <Suspense fallback={<div style={{ height }} />}>
          <Chart
            values={p.values} band={p.band} episodes={p.episodes ?? []} unit={p.unit} from={p.from} to={p.to} onset={p.onset} changes={p.changes ?? []}
            height={height} syncKey={p.syncKey ?? ""} label={`${p.entity.name} ${n.what} ${n.which}: ${says}`} onZoom={p.onZoom} onHover={setHover}
          />
        </Suspense>
      ) : (
        <div style={{ height }} aria-busy="true" />
      )}
    </figure>
  );
}

const points = () => Math.min(1200, Math.max(300, Math.round(window.innerWidth * 0.8)));

export function SeriesChart({ id, link = true, ...rest }: Common & { id: string; link?: boolean }) {
  const q = useQuery(seriesDataQuery(id, rest.span, points()));
  const s = q.data?.series;
  return (
    <Card
      {...rest} name={s?.name ?? "…"} labels={s?.labels ?? {}} entity={s?.entity ?? { kind: "", name: "…" }} peer={s?.peer} instance={s?.instance} unit={s?.unit ?? ""}
      values={q.data?.values} band={q.data?.band} episodes={q.data?.anomalies ?? []} error={q.error}
      link={link ? <Link to="/explore" search={{ series: id, from: rest.span.from, to: rest.span.to }} className="nowrap" aria-label={`Explore ${s?.entity.name ?? ""} ${s?.name ?? ""}`}>explore</Link> : null}
    />
  );
}

/** The series of an anomaly; when detection no longer holds it, the stored expression. */
export function AnomalyChart({ anomaly: a, ...rest }: Common & { anomaly: Anomaly }) {
  const byId = useQuery(seriesDataQuery(a.series_id, rest.span, points()));
  const gone = !!byId.error && !!a.expr;
  const byExpr = useQuery({ ...exprQuery(a.expr ?? "", "", rest.span, points()), enabled: gone });
  if (!gone) return <SeriesChart id={a.series_id} {...rest} />;
  return (
    <Card
      {...rest} name={a.series} labels={labelsOf(a.expr ?? "")} entity={a.entity} peer={a.peer} instance={a.instance} unit={a.unit ?? ""}
      values={byExpr.data ? (byExpr.data.result[0]?.values ?? { t_unix_ms: [], v: [] }) : undefined} episodes={[a]} error={byExpr.error}
    />
  );
}

/** Every series of a PromQL expression, one chart each (at most 12). */
export function ExprCharts({ expr, ...rest }: Common & { expr: string }) {
  const q = useQuery(exprQuery(expr, "", rest.span, points()));
  const none = { kind: "", name: "" };
  if (!q.data) return <Card {...rest} name={expr} labels={{}} entity={none} unit="" values={undefined} error={q.error} />;
  if (q.data.result.length === 0) return <div className="empty">The expression has no series in this time range.</div>;
  return (
    <>
      {q.data.total > 12 ? <div className="dim">{q.data.total} series; the first 12 are shown.</div> : null}
      {q.data.result.slice(0, 12).map((r, i) => {
        const l: Record<string, string> = r.labels;
        const of = l["entity"] ?? l["service_name"] ?? l["instance"] ?? "";
        return <Card key={i} {...rest} name={l["__name__"] ?? expr} labels={l} entity={{ kind: "", name: of.slice(of.indexOf("/") + 1) || "expression" }} unit="" values={r.values} error={null} />;
      })}
    </>
  );
}

export function ChartLegend({ onset = true }: { onset?: boolean }) {
  return (
    <div className="legend" aria-hidden="true">
      <span><svg width="18" height="8"><path d="M0 6 6 2l6 3 6-4" stroke="var(--curve)" fill="none" strokeWidth="1.5" /></svg>value</span>
      <span><svg width="18" height="10"><rect width="18" height="10" fill="var(--band)" /><path d="M0 5h18" stroke="var(--band-edge)" strokeDasharray="3 3" /></svg>expected</span>
      <span><svg width="10" height="10"><circle cx="5" cy="5" r="3" stroke="var(--bad)" fill="none" strokeWidth="1.5" /></svg>flagged</span>
      {onset ? <span><svg width="8" height="12"><path d="M4 0v12" stroke="var(--bad)" strokeWidth="1.5" /></svg>onset</span> : null}
      <span><svg width="12" height="12"><path d="M1 0h10L6 6Z" fill="var(--accent)" /><path d="M6 6v6" stroke="var(--accent)" strokeDasharray="2 2" /></svg>change</span>
    </div>
  );
}
