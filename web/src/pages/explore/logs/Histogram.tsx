import { useElementSize } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState, type PointerEvent } from "react";
import type { Schemas } from "../../../api/client";
import { histogramQuery } from "../../../api/queries";
import { narrows } from "../../../lib/logs";
import { clock, compact, plural } from "../../../lib/format";

const height = 84;
const foot = 18;
const colours: Record<string, string> = { info: "var(--sev-info)", warn: "var(--warn)", error: "var(--bad)", fatal: "var(--bad)" };
const colour = (severity: string) => colours[severity] ?? "var(--line-strong)";
const nameOf = (severity: string) => severity || "without severity";
/** One error among thousands of lines must be seen. */
const least = (severity: string) => (/^(warn|error|fatal)$/.test(severity) ? 2 : 0.5);

function says(d: Schemas["LogHistogram"], i: number, now: number): string {
  const parts = d.groups.filter((g) => g.counts[i]).map((g) => `${compact(g.counts[i]!)} ${nameOf(g.value)}`);
  const at = d.t_unix_ms[i]!;
  return `${clock(at, now, true)} to ${clock(at + d.step_ms, now, true)} · ${parts.join(", ") || "no line"}`;
}

interface Props {
  query: string;
  span: { from: string; to: string };
  from: number;
  to: number;
  now: number;
  zoom: (from: number, to: number) => void;
  narrow: (field: string, value: string) => void;
}

/** Lines over time by severity; a drag over it chooses the time range. */
export function Histogram({ query, span, from, to, now, zoom, narrow }: Props) {
  const { ref, width } = useElementSize();
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [over, setOver] = useState(-1);
  const q = useQuery(histogramQuery(query, span, width > 0 && width < 520 ? 40 : 80));
  const d = q.data;
  const columns = d?.t_unix_ms ?? [];
  const most = Math.max(1, ...columns.map((_, i) => d!.groups.reduce((n, g) => n + g.counts[i]!, 0)));
  const h = height - foot;
  const x = (t: number) => ((Math.min(to, Math.max(from, t)) - from) / Math.max(1, to - from)) * width;
  const at = (e: PointerEvent) => {
    const box = e.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(width, e.clientX - box.left));
  };
  const time = (px: number) => from + (px / Math.max(1, width)) * (to - from);
  const end = () => {
    if (!drag) return;
    const [a, b] = [Math.min(...drag), Math.max(...drag)];
    setDrag(null);
    if (b - a >= 6 && time(b) - time(a) >= 1000) zoom(Math.round(time(a)), Math.round(time(b)));
  };
  const move = (e: PointerEvent) => {
    const px = at(e);
    setOver(columns.findIndex((t) => time(px) >= t && time(px) < t + d!.step_ms));
    if (drag) setDrag([drag[0], px]);
  };
  const marks = width < 520 ? 3 : 6;
  const ticks = Array.from({ length: marks }, (_, i) => from + ((to - from) * i) / (marks - 1));
  return (
    <section className="card histogram" aria-label="Lines over time">
      <div className="row wrap small" style={{ gap: "2px 6px", minHeight: 22 }}>
        <b className="num">{d ? plural(d.total, "line") : "…"}</b>
        {(d?.groups ?? []).map((g) => (
          <button key={g.value} type="button" className="sevkey" aria-pressed={narrows(query, "severity", g.value)} title={`Only ${nameOf(g.value)}`} onClick={() => narrow("severity", g.value)}>
            <svg width="9" height="9" aria-hidden="true"><rect width="9" height="9" rx="2" fill={colour(g.value)} /></svg>
            {nameOf(g.value)} <span className="num">{compact(g.total)}</span>
          </button>
        ))}
        <span className="grow" />
        <span className="dim num" style={{ marginLeft: "auto" }}>{d && over >= 0 && over < columns.length ? says(d, over, now) : q.error ? `could not be counted: ${q.error.message}` : "drag to choose a time range"}</span>
      </div>
      <div ref={ref} style={{ height }}>
        {width > 0 ? (
          <svg
            width={width} height={height} role="img" aria-label={`${plural(d?.total ?? 0, "line")} over time by severity`} style={{ display: "block", cursor: "crosshair", touchAction: "pan-y" }}
            onPointerDown={(e) => {
              if (e.button !== 0) return;
              e.currentTarget.setPointerCapture(e.pointerId);
              setDrag([at(e), at(e)]);
            }}
            onPointerMove={move} onPointerUp={end} onPointerCancel={() => setDrag(null)} onPointerLeave={() => setOver(-1)}
          >
            <path d={`M0 ${h + 0.5}H${width}`} stroke="var(--line)" />
            {columns.map((t, i) => {
              const [l, r] = [x(t), x(t + d!.step_ms)];
              let y = h;
              return [...d!.groups].reverse().map((g) => {
                if (!g.counts[i]) return null;
                const hs = Math.max(least(g.value), (g.counts[i] / most) * (h - 4));
                y -= hs;
                return <rect key={g.value} x={l + 0.5} width={Math.max(1, r - l - 1)} y={Math.max(0, y)} height={hs} fill={colour(g.value)} opacity={i === over ? 1 : 0.85} />;
              });
            })}
            {drag ? <rect x={Math.min(...drag)} width={Math.abs(drag[1] - drag[0])} y="0" height={h} fill="var(--accent)" opacity="0.22" /> : null}
            {ticks.map((t, i) => (
              <text key={i} x={x(t)} y={height - 4} fontSize="11" fill="var(--dim)" textAnchor={i === 0 ? "start" : i === ticks.length - 1 ? "end" : "middle"}>
                {clock(t, t, to - from < 600_000)}
              </text>
            ))}
          </svg>
        ) : null}
      </div>
    </section>
  );
}
