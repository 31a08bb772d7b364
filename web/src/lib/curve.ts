// What a chart draws, as plain data: one column of times and aligned values.

export interface Columns {
  t_unix_ms: number[];
  v: (number | null)[];
}

export interface BandColumns {
  t_unix_ms: number[];
  expected: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

export interface Episode {
  onset_unix_ms: number;
  last_seen_unix_ms: number;
  ended_unix_ms: number;
}

type Cell = number | null | undefined;

/** [x in s, value, expected, low, high, flagged]; undefined means "no point here, no gap either". */
export type Aligned = [number[], Cell[], Cell[], Cell[], Cell[], Cell[]];

/** Merges values and band on one time axis and marks the values that lie in an episode and outside the band. */
export function align(values: Columns, band: BandColumns | undefined, episodes: Episode[]): Aligned {
  const x: number[] = [];
  const v: Cell[] = [];
  const e: Cell[] = [];
  const lo: Cell[] = [];
  const hi: Cell[] = [];
  const bt = band?.t_unix_ms ?? [];
  let i = 0;
  let j = 0;
  while (i < values.t_unix_ms.length || j < bt.length) {
    const tv = values.t_unix_ms[i] ?? Infinity;
    const tb = bt[j] ?? Infinity;
    const t = Math.min(tv, tb);
    x.push(t / 1000);
    v.push(tv === t ? values.v[i++] : undefined);
    if (tb === t && band) {
      e.push(band.expected[j]);
      lo.push(band.low[j]);
      hi.push(band.high[j]);
      j++;
    } else {
      e.push(undefined);
      lo.push(undefined);
      hi.push(undefined);
    }
  }
  return [x, v, e, lo, hi, flag(x, v, lo, hi, episodes)];
}

function flag(x: number[], v: Cell[], lo: Cell[], hi: Cell[], episodes: Episode[]): Cell[] {
  let low: number | null = null;
  let high: number | null = null;
  return v.map((val, i) => {
    low = lo[i] ?? low;
    high = hi[i] ?? high;
    if (val === null || val === undefined) return val;
    const t = x[i]! * 1000;
    const inEpisode = episodes.some((a) => t >= a.onset_unix_ms && t <= endOf(a));
    const outside = low === null || high === null || val < low || val > high;
    return inEpisode && outside ? val : undefined;
  });
}

/** An episode that lasts has no end: it reaches as far as the data does. */
export function endOf(a: Episode): number {
  return a.ended_unix_ms || Infinity;
}

/** Smallest and largest of what is drawn, with room; zero stays in sight when it is near. */
export function valueRange(cols: Aligned): [number, number] {
  let lo = Infinity;
  let hi = -Infinity;
  for (const col of [cols[1], cols[3], cols[4]])
    for (const c of col)
      if (c !== null && c !== undefined) {
        if (c < lo) lo = c;
        if (c > hi) hi = c;
      }
  if (lo > hi) return [0, 1];
  if (lo === hi) return lo === 0 ? [0, 1] : lo > 0 ? [0, lo * 1.25] : [lo * 1.25, 0];
  const pad = (hi - lo) * 0.08;
  const floor = lo >= 0 && lo < hi * 0.5 ? 0 : lo - pad;
  return [floor, hi + pad];
}

/** Index of the point with a value nearest to idx, within reach. */
export function nearest(col: Cell[], idx: number, reach = 50): number {
  for (let d = 0; d <= reach; d++) {
    if (typeof col[idx - d] === "number") return idx - d;
    if (typeof col[idx + d] === "number") return idx + d;
  }
  return -1;
}
