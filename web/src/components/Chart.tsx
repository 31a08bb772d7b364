// One time series in uPlot: values, expected band, flagged points, a ribbon of
// anomalies, the onset line and change markers. Drag selects a time range.

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useEffectEvent, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { align, endOf, nearest, valueRange, type Aligned, type BandColumns, type Columns, type Episode } from "../lib/curve";
import { clock, value } from "../lib/format";

export interface ChartMarker {
  at: number; // Unix ms
  text: string;
}

export interface ChartProps {
  values: Columns;
  band?: BandColumns | undefined;
  episodes?: Episode[];
  unit: string;
  from: number;
  to: number;
  onset?: number | undefined;
  changes?: ChartMarker[];
  height?: number;
  syncKey?: string;
  label: string; // for readers of screens
  onZoom?: ((from: number, to: number) => void) | undefined;
  onHover?: ((text: string) => void) | undefined;
}

interface Colours {
  text: string;
  grid: string;
  curve: string;
  band: string;
  edge: string;
  bad: string;
  accent: string;
  surface: string;
}

function colours(): Colours {
  const css = getComputedStyle(document.documentElement);
  const v = (name: string) => css.getPropertyValue(name).trim();
  return {
    text: v("--dim"), grid: v("--grid"), curve: v("--curve"), band: v("--band"), edge: v("--band-edge"),
    bad: v("--bad"), accent: v("--accent"), surface: v("--surface"),
  };
}

type Latest = Pick<ChartProps, "episodes" | "onset" | "changes">;

/** Ribbon, onset and changes, drawn over the plot. */
function drawMarks(u: uPlot, c: Colours, m: Latest): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  const [x0, x1] = [bbox.left, bbox.left + bbox.width];
  const xOf = (ms: number) => u.valToPos(ms / 1000, "x", true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, 0, bbox.width, bbox.top + bbox.height + 4 * px);
  ctx.clip();
  ctx.fillStyle = c.bad;
  for (const e of m.episodes ?? []) {
    const a = Math.max(x0, xOf(e.onset_unix_ms));
    const b = Math.min(x1, endOf(e) === Infinity ? x1 : xOf(endOf(e)));
    if (b >= a) ctx.fillRect(a, bbox.top + bbox.height - 3 * px, Math.max(2 * px, b - a), 3 * px);
  }
  const line = (ms: number, colour: string, dash: number[]) => {
    const x = Math.round(xOf(ms)) + 0.5;
    if (x < x0 || x > x1) return null;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.2 * px;
    ctx.setLineDash(dash.map((d) => d * px));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    return x;
  };
  if (m.onset) line(m.onset, c.bad, []);
  for (const ch of m.changes ?? []) {
    const x = line(ch.at, c.accent, [4, 3]);
    if (x === null) continue;
    ctx.fillStyle = c.accent;
    ctx.beginPath();
    ctx.moveTo(x - 5 * px, bbox.top);
    ctx.lineTo(x + 5 * px, bbox.top);
    ctx.lineTo(x, bbox.top + 7 * px);
    ctx.fill();
  }
  ctx.restore();
}

function timeTicks(u: uPlot, splits: number[]): string[] {
  const span = (u.scales["x"]!.max ?? 0) - (u.scales["x"]!.min ?? 0);
  const two = (n: number) => String(n).padStart(2, "0");
  return splits.map((s) => {
    const d = new Date(s * 1000);
    if (span > 2 * 86400 || (d.getHours() === 0 && d.getMinutes() === 0 && span > 7200)) {
      const date = `${two(d.getDate())}.${two(d.getMonth() + 1)}.`;
      return span > 4 * 86400 ? date : `${date} ${two(d.getHours())}:${two(d.getMinutes())}`;
    }
    return `${two(d.getHours())}:${two(d.getMinutes())}${span < 300 ? `:${two(d.getSeconds())}` : ""}`;
  });
}

function axes(c: Colours, unit: string): uPlot.Axis[] {
  const font = '11px Inter, ui-sans-serif, system-ui, sans-serif';
  const shared = { stroke: c.text, font, grid: { stroke: c.grid, width: 1 }, ticks: { show: false } };
  return [
    { ...shared, size: 24, gap: 4, space: 64, values: timeTicks },
    { ...shared, size: 62, gap: 6, space: 34, values: (_u, vs) => vs.map((v) => value(v, unit)) },
  ];
}

function series(c: Colours): uPlot.Series[] {
  return [
    {},
    { stroke: c.curve, width: 1.5, points: { show: false } },
    { stroke: c.edge, width: 1, dash: [3, 3], spanGaps: true, points: { show: false } },
    { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } },
    { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } },
    { stroke: c.bad, width: 0, paths: () => null, points: { show: true, size: 5, stroke: c.bad, fill: c.surface, width: 1.5, filter: everyPoint } },
  ];
}

/** All flagged points while they can be told apart, else some of them; the ribbon shows the length. */
function everyPoint(u: uPlot, sidx: number): number[] {
  const col = u.data[sidx]!;
  const all: number[] = [];
  for (let i = 0; i < col.length; i++) if (typeof col[i] === "number") all.push(i);
  const keep = Math.max(1, Math.ceil(all.length / Math.max(1, u.bbox.width / devicePixelRatio / 9)));
  return all.filter((_, i) => i % keep === 0);
}

/** What the readout says at the cursor: value, band, time. */
function readout(data: Aligned, idx: number | null | undefined, unit: string, now: number): string {
  if (idx === null || idx === undefined) return "";
  const i = nearest(data[1], idx);
  const b = nearest(data[3], idx);
  if (i < 0) return "";
  const expected = b >= 0 ? ` · expected ${value(data[3][b], unit)} to ${value(data[4][b], unit)}` : "";
  return `${clock(data[0][i]! * 1000, now, true)} · ${value(data[1][i], unit)}${expected}`;
}

export default function Chart(p: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme();
  const height = p.height ?? 150;
  const episodes = p.episodes;
  const data = useMemo(() => align(p.values, p.band, episodes ?? []), [p.values, p.band, episodes]);
  const latest = useRef<Latest & { data: Aligned; from: number; to: number }>({ data, from: p.from, to: p.to });
  latest.current = { data, from: p.from, to: p.to, episodes: p.episodes ?? [], onset: p.onset, changes: p.changes ?? [] };
  const hover = useEffectEvent((u: uPlot) => p.onHover?.(readout(latest.current.data, u.cursor.idx, p.unit, Date.now())));
  const zoom = useEffectEvent((u: uPlot) => {
    if (u.select.width < 6) return;
    const from = u.posToVal(u.select.left, "x") * 1000;
    const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to - from >= 5000) p.onZoom?.(Math.round(from), Math.round(to));
  });
  const canZoom = !!p.onZoom;
  const { unit, syncKey } = p;

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const c = colours();
    const sync = syncKey ? { sync: { key: syncKey, setSeries: false, scales: ["x", null] as [string, null] } } : {};
    const u = new uPlot(
      {
        width: Math.max(80, el.clientWidth), height, legend: { show: false }, padding: [8, 18, 0, 0],
        cursor: { drag: { x: canZoom, y: false, setScale: false }, y: false, points: { size: 7 }, ...sync },
        scales: {
          x: { time: true, range: () => [latest.current.from / 1000, latest.current.to / 1000] },
          y: { range: () => valueRange(latest.current.data) },
        },
        series: series(c),
        bands: [{ series: [4, 3], fill: c.band }],
        axes: axes(c, unit),
        hooks: { draw: [(x) => drawMarks(x, c, latest.current)], setCursor: [(x) => hover(x)], setSelect: [(x) => zoom(x)] },
      },
      latest.current.data as uPlot.AlignedData,
      el,
    );
    plot.current = u;
    const watch = new ResizeObserver(() => {
      if (el.clientWidth > 0 && el.clientWidth !== u.width) u.setSize({ width: el.clientWidth, height });
    });
    watch.observe(el);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [scheme, height, unit, syncKey, canZoom]);

  useEffect(() => {
    plot.current?.setData(data as uPlot.AlignedData);
  }, [data, p.from, p.to, p.onset, p.changes]);

  const empty = !data[1].some((v) => typeof v === "number");
  return (
    <div className="chartbox" ref={box} style={{ height }} role="img" aria-label={p.label}>
      {empty ? <div className="chartempty">No points in this time range</div> : null}
    </div>
  );
}
