// A backtest's pairs of alarms, folded by entity and series, fit to be drawn.

import type { Schemas } from "../api/client";
import { labelsOf, seriesName, type SeriesName } from "./names";

export type Pair = Schemas["BacktestPair"];

/** What became of an alarm under the proposed settings. */
export type Fate = "missed" | "new" | "earlier" | "later" | "same";

export const fates: Fate[] = ["missed", "new", "later", "earlier", "same"];

export function fateOf(p: Pair): Fate {
  if (p.outcome === "only_before") return "missed";
  if (p.outcome === "only_after") return "new";
  return p.earlier_ms > 0 ? "earlier" : p.earlier_ms < 0 ? "later" : "same";
}

/** A bar of one lane, in Unix ms. */
export interface Bar {
  from: number;
  to: number;
  fate: Fate;
}

export interface Fold {
  key: string;
  pairs: Pair[];
  count: Record<Fate, number>;
  before: Bar[];
  after: Bar[];
}

export interface SeriesFold extends Fold {
  id: string;
  name: SeriesName;
  full: string;
}

export interface EntityFold extends Fold {
  entity: Schemas["Entity"];
  series: SeriesFold[];
}

const empty = (key: string): Fold => ({ key, pairs: [], count: { missed: 0, new: 0, earlier: 0, later: 0, same: 0 }, before: [], after: [] });

function add(f: Fold, p: Pair, end: number) {
  const fate = fateOf(p);
  f.pairs.push(p);
  f.count[fate]++;
  for (const [m, lane] of [[p.before, f.before], [p.after, f.after]] as const)
    if (m) lane.push({ from: m.time_unix_ms, to: Math.max(m.time_unix_ms, m.ended_unix_ms || end), fate });
}

const changed = (f: Fold) => f.count.missed + f.count.new;
const moved = (f: Fold) => f.count.earlier + f.count.later;
const most = (a: Fold, b: Fold) => changed(b) - changed(a) || moved(b) - moved(a) || b.pairs.length - a.pairs.length || (a.key < b.key ? -1 : 1);

/** name{label="value", ...} as a report has it. */
export function shortName(series: string): SeriesName {
  const at = series.indexOf("{");
  return seriesName(at < 0 ? series : series.slice(0, at), labelsOf(series));
}

/** By entity and within it by series, what changes most first. Alarms that did not end last until end (Unix ms). */
export function fold(pairs: Pair[], end: number): EntityFold[] {
  const entities = new Map<string, EntityFold>();
  const all = new Map<string, SeriesFold>();
  for (const p of pairs) {
    const key = `${p.entity.kind}/${p.entity.name}`;
    let e = entities.get(key);
    if (!e) entities.set(key, (e = { ...empty(key), entity: p.entity, series: [] }));
    const own = `${key} ${p.series_id}`;
    let s = all.get(own);
    if (!s) {
      all.set(own, (s = { ...empty(own), id: p.series_id, name: shortName(p.series), full: p.series }));
      e.series.push(s);
    }
    add(e, p, end);
    add(s, p, end);
  }
  for (const e of entities.values()) e.series.sort(most);
  return [...entities.values()].sort(most);
}

/** Round times between from and to for an axis, at most n of them. */
export function axisTicks(from: number, to: number, n: number): number[] {
  const steps = [60e3, 300e3, 600e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3, 86400e3, 172800e3, 432000e3, 864000e3];
  const step = steps.find((s) => (to - from) / s <= n) ?? 2592000e3;
  // Days begin at local midnight.
  const shift = new Date(from).getTimezoneOffset() * 60e3;
  const out: number[] = [];
  for (let t = Math.ceil((from - shift) / step) * step + shift; t <= to; t += step) out.push(t);
  return out;
}
