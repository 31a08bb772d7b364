// The time range in the URL: ages ("-1h", "now") or Unix ms.

const units: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 604800e3 };

export interface SpanSearch {
  from?: string | undefined;
  to?: string | undefined;
}

/** What "-1h", "now" or "1772593200000" means at `now`, in Unix ms. */
export function resolve(text: string, now: number): number {
  if (text === "" || text === "now") return now;
  const m = /^-(\d+)([smhdw])$/.exec(text);
  if (m) return now - Number(m[1]) * units[m[2]!]!;
  const n = Number(text);
  return Number.isFinite(n) && n > 0 ? n : now;
}

export function isSpanText(s: unknown): s is string {
  return typeof s === "string" && (s === "now" || /^-\d+[smhdw]$/.test(s) || /^\d{9,16}$/.test(s));
}

/** Reads from and to of a URL; numbers may come unquoted. */
export function readSpan(search: Record<string, unknown>): SpanSearch {
  const one = (v: unknown) => {
    const s = typeof v === "number" ? String(v) : v;
    return isSpanText(s) ? s : undefined;
  };
  return { from: one(search["from"]), to: one(search["to"]) };
}

export function label(span: SpanSearch, fallback: string): string {
  const from = span.from ?? fallback;
  if ((span.to ?? "now") === "now") {
    const m = /^-(\d+)([smhdw])$/.exec(from);
    if (m) {
      const word: Record<string, string> = { s: "s", m: "min", h: "h", d: "d", w: "weeks" };
      return `Last ${m[1]} ${word[m[2]!]}`;
    }
  }
  return "";
}

/** The span moved by half its length; relative spans become fixed. */
export function shift(span: { from: string; to: string }, now: number, direction: 1 | -1): SpanSearch {
  const from = resolve(span.from, now);
  const to = resolve(span.to, now);
  const d = Math.round(((to - from) / 2) * direction);
  return { from: String(from + d), to: String(to + d) };
}
