// Numbers, units, durations and times as a person reads them.

export const NO_VALUE = "–";

/** Three significant digits without exponent for common sizes, thin-grouped above 9999. */
export function number(v: number): string {
  if (!Number.isFinite(v)) return NO_VALUE;
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a < 1e-6 || a >= 1e15) return v.toExponential(1);
  if (a >= 1000) return group(Math.round(v));
  return digits(v);
}

/** Significant digits without exponent or trailing zeros: 999.7 -> "1000". */
function digits(v: number, n = 3): string {
  return String(Number(v.toPrecision(n)));
}

function group(n: number): string {
  const s = String(Math.abs(n));
  const g = s.length > 4 ? s.replace(/\B(?=(\d{3})+$)/g, ",") : s;
  return (n < 0 ? "-" : "") + g;
}

const SI = ["", "k", "M", "G", "T", "P"];

/** Count with k, M, G: 41230 -> "41.2k". */
export function compact(v: number): string {
  if (!Number.isFinite(v)) return NO_VALUE;
  let a = Math.abs(v);
  let i = 0;
  while (a >= 999.5 && i < SI.length - 1) {
    a /= 1000;
    i++;
  }
  return (v < 0 ? "-" : "") + (i === 0 ? digits(a) : digits(a) + SI[i]);
}

function bytes(v: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let a = Math.abs(v);
  let i = 0;
  while (a >= 1023.5 && i < names.length - 1) {
    a /= 1024;
    i++;
  }
  return `${v < 0 ? "-" : ""}${digits(a, a >= 1000 ? 4 : 3)} ${names[i]}`;
}

function seconds(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0 s";
  if (a < 1e-6) return `${digits(v * 1e9)} ns`;
  if (a < 1e-3) return `${digits(v * 1e6)} µs`;
  if (a < 1) return `${digits(v * 1e3)} ms`;
  if (a < 120) return `${digits(v)} s`;
  if (a < 7200) return `${digits(v / 60)} min`;
  if (a < 172800) return `${digits(v / 3600)} h`;
  return `${digits(v / 86400)} d`;
}

/** A share 0..1 as percent. */
export function percent(v: number | null | undefined, precision = 2): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return NO_VALUE;
  const p = v * 100;
  if (p === 0) return "0 %";
  if (Math.abs(p) < 0.01) return p < 0 ? "> -0.01 %" : "< 0.01 %";
  return `${digits(p, Math.abs(p) >= 99.5 ? 3 : precision)} %`;
}

/** A value in a UCUM base unit, scaled to what fits. */
export function value(v: number | null | undefined, unit = ""): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return NO_VALUE;
  switch (unit) {
    case "s":
      return seconds(v);
    case "By":
      return bytes(v);
    case "By/s":
      return `${bytes(v)}/s`;
    case "1":
      return Math.abs(v) <= 1 ? percent(v, 3) : number(v);
    case "":
      return Math.abs(v) >= 10000 ? compact(v) : number(v);
  }
  const label = unit.replace(/^1(?=\/)/, "").replace(/^\{(\w+)\}/, (_, w: string) => (w === "request" ? "req" : `${w}s`));
  const n = Math.abs(v) >= 10000 ? compact(v) : number(v);
  return label.startsWith("/") ? n + label : `${n} ${label}`;
}

/** "14 min", "2 h 05 min", "3 d 4 h": for ages and lengths in ms. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 24) return m % 60 ? `${h} h ${String(m % 60).padStart(2, "0")} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return h % 24 ? `${d} d ${h % 24} h` : `${d} d`;
}

const two = (n: number) => String(n).padStart(2, "0");

/** Local clock time; with the date when it is not today (seen from now). */
export function clock(ms: number, now: number, withSeconds = false): string {
  const d = new Date(ms);
  const t = `${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? `:${two(d.getSeconds())}` : ""}`;
  if (d.toDateString() === new Date(now).toDateString()) return t;
  return `${day(d)} ${t}`;
}

function day(d: Date): string {
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/** Full local time with zone, and UTC, for a tooltip. */
export function fullTime(ms: number): string {
  const d = new Date(ms);
  const off = -d.getTimezoneOffset();
  const zone = `UTC${off < 0 ? "-" : "+"}${two(Math.floor(Math.abs(off) / 60))}:${two(Math.abs(off) % 60)}`;
  const local = `${day(d)} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())} ${zone}`;
  return `${local}\n${d.toISOString().replace("T", " ").replace(/\.\d+Z/, "")} UTC`;
}

/** Shortens in the middle, where names of one estate differ least. */
export function middle(s: string, max: number): string {
  if (s.length <= max) return s;
  const keep = max - 1;
  const head = Math.floor(keep * 0.45);
  return `${s.slice(0, head)}…${s.slice(s.length - (keep - head))}`;
}

/** Breaks text into lines of at most max characters; the last one ends with … when there was more. */
export function lines(s: string, max: number, most: number): string[] {
  const out: string[] = [];
  for (const word of s.split(/\s+/).filter(Boolean)) {
    const at = out.length - 1;
    if (at >= 0 && out[at]!.length + 1 + word.length <= max) out[at] += ` ${word}`;
    else if (out.length < most) out.push(middle(word, max));
    else {
      out[at] = `${out[at]!.slice(0, max - 1)}…`;
      break;
    }
  }
  return out;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${group(n)} ${n === 1 ? one : many}`;
}
