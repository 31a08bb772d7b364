import { useElementSize } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState, type PointerEvent } from "react";
import { histogramQuery } from "../../../api/queries";
import { bars, narrows, noCounts, severities, stepFor, type Bar, type Severity } from "../../../lib/logs";
import { clock, compact, plural } from "../../../lib/format";

const height = 84;
const foot = 18;
const colour: Record<Severity, string> = { other: "var(--line-strong)", trace: "var(--line-strong)", debug: "var(--line-strong)", info: "var(--sev-info)", warn: "var(--warn)", error: "var(--bad)", fatal: "var(--bad)" };

function says(b: Bar, step: number, now: number): string {
  const parts = [...severities].reverse().filter((s) => b.n[s] > 0).map((s) => `${compact(b.n[s])} ${s}`);
  return `${clock(b.at, now, true)} to ${clock(b.at + step * 1000, now, true)} · ${plural(b.all, "line")}${parts.length ? ` · ${parts.join(", ")}` : ""}`;
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
  const step = stepFor(to - from, width > 0 && width < 520 ? 40 : 90);
  const q = useQuery(histogramQuery(query, span, step));
  const list = bars(q.data ?? [], from, to, step);
  const most = Math.max(1, ...list.map((b) => b.all));
  const sums = list.reduce((n, b) => (severities.forEach((s) => (n[s] += b.n[s])), n), noCounts());
  const all = severities.reduce((n, s) => n + sums[s], 0);
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
    setOver(list.findIndex((b) => time(px) >= b.at && time(px) < b.at + step * 1000));
    if (drag) setDrag([drag[0], px]);
  };
  const marks = width < 520 ? 3 : 6;
  const ticks = Array.from({ length: marks }, (_, i) => from + ((to - from) * i) / (marks - 1));
  return (
    <section className="card histogram" aria-label="Lines over time">
      <div className="row wrap small" style={{ gap: "2px 6px", minHeight: 22 }}>
        <b className="num">{q.data ? plural(all, "line") : "…"}</b>
        {[...severities].reverse().filter((s) => sums[s] > 0).map((s) => (
          <button key={s} type="button" className="sevkey" aria-pressed={narrows(query, "severity", s)} disabled={s === "other"} title={`Only ${s}`} onClick={() => narrow("severity", s)}>
            <svg width="9" height="9" aria-hidden="true"><rect width="9" height="9" rx="2" fill={colour[s]} /></svg>
            {s} <span className="num">{compact(sums[s])}</span>
          </button>
        ))}
        <span className="grow" />
        <span className="dim num" style={{ marginLeft: "auto" }}>{over >= 0 && list[over] ? says(list[over], step, now) : q.error ? `could not be counted: ${q.error.message}` : "drag to choose a time range"}</span>
      </div>
      <div ref={ref} style={{ height }}>
        {width > 0 ? (
          <svg
            width={width} height={height} role="img" aria-label={`${plural(all, "line")} over time by severity`} style={{ display: "block", cursor: "crosshair", touchAction: "pan-y" }}
            onPointerDown={(e) => {
              if (e.button !== 0) return;
              e.currentTarget.setPointerCapture(e.pointerId);
              setDrag([at(e), at(e)]);
            }}
            onPointerMove={move} onPointerUp={end} onPointerCancel={() => setDrag(null)} onPointerLeave={() => setOver(-1)}
          >
            <path d={`M0 ${h + 0.5}H${width}`} stroke="var(--line)" />
            {list.map((b, i) => {
              const [l, r] = [x(b.at), x(b.at + step * 1000)];
              let y = h;
              return severities.map((s) => {
                if (!b.n[s]) return null;
                // One error among thousands of lines must be seen.
                const hs = Math.max(s === "error" || s === "fatal" || s === "warn" ? 2 : 0.5, (b.n[s] / most) * (h - 4));
                y -= hs;
                return <rect key={s} x={l + 0.5} width={Math.max(1, r - l - 1)} y={Math.max(0, y)} height={hs} fill={colour[s]} opacity={i === over ? 1 : 0.85} />;
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
