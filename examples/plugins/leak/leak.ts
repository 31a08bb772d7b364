// A detector for Norn that scores how long a value has only risen: the mark of
// a leak. It is written in AssemblyScript; docs/plugins.md explains the
// functions. Build it with `make plugins`.

/** How many rises in a row score 1. */
const PATIENCE: f64 = 20;

class Series {
  last: f64 = NaN;
  rises: f64 = 0;
}

const known = new Map<u64, Series>();
const title = String.UTF8.encode("leak");

/** Gives the host a piece of memory to write into. */
export function alloc(bytes: u32): usize {
  return heap.alloc(bytes);
}

/** Tells the host where the detector's name is and how long: address << 32 | length. */
export function name(): u64 {
  return ((changetype<usize>(title) as u64) << 32) | (title.byteLength as u64);
}

/** Hears of a series, as JSON, before its first point. This detector only frees the memory. */
export function describe(_series: u64, json: usize, _length: u32): void {
  heap.free(json);
}

/** Scores one point: the rises in a row, in units of PATIENCE. */
export function observe(series: u64, _unixMs: i64, value: f64): f64 {
  if (!known.has(series)) known.set(series, new Series());
  const s = known.get(series);
  if (value > s.last) s.rises += 1;
  else if (value < s.last) s.rises = 0;
  s.last = value;
  return s.rises / PATIENCE;
}
