// Log queries as text: what a click on a value adds, where the pipes begin,
// and the counts that a histogram and the facets are drawn from.

import type { LogLine } from "../api/client";

/** From the least to the most severe; anything else is drawn as "other". */
export const severities = ["other", "trace", "debug", "info", "warn", "error", "fatal"] as const;
export type Severity = (typeof severities)[number];

export const severityOf = (s: string): Severity => ((severities as readonly string[]).includes(s) ? (s as Severity) : "other");

/** Splits a LogsQL text into its filter and its pipes ("" or "| ..."); a bar inside quotes or brackets is text. */
export function splitPipes(query: string): [filter: string, pipes: string] {
  let quote = "";
  let depth = 0;
  for (let i = 0; i < query.length; i++) {
    const c = query[i]!;
    if (quote) {
      if (c === "\\" && quote !== "`") i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "'" || c === "`") quote = c;
    else if (c === "(" || c === "{") depth++;
    else if (c === ")" || c === "}") depth--;
    else if (c === "|" && depth <= 0) return [query.slice(0, i).trim(), query.slice(i).trim()];
  }
  return [query.trim(), ""];
}

/** A field's name as LogsQL wants it. */
export const fieldName = (name: string) => (/^[A-Za-z_][\w.]*$/.test(name) ? name : JSON.stringify(name));

export const clauseOf = (field: string, value: string, out = false) => `${out ? "!" : ""}${fieldName(field)}:=${JSON.stringify(value)}`;

/** "a or b" binds looser than a clause behind it. */
const grouped = (filter: string) => (/(^|[\s)])or([\s(]|$)/i.test(filter) && !/^\([^()]*\)$/.test(filter) ? `(${filter})` : filter);

/** The filter alone, fit to have a pipe or a clause behind it; "*" is everything. */
export const filterOf = (query: string) => splitPipes(query)[0] || "*";

/**
 * The query narrowed to a value of a field, or (out) without it. The same again
 * takes it back; the opposite replaces it.
 */
export function narrowed(query: string, field: string, value: string, out = false): string {
  const [filter, pipes] = splitPipes(query);
  const words = clauses(filter);
  const [own, other] = [clauseOf(field, value, out), clauseOf(field, value, !out)];
  const had = words.includes(own);
  const rest = words.filter((w) => w !== own && w !== other).join(" ");
  const base = rest === "*" ? "" : grouped(rest);
  return [had ? rest : [base, own].filter(Boolean).join(" "), pipes].filter(Boolean).join(" ");
}

/** Whether the query already asks for (or, out, against) the value. */
export const narrows = (query: string, field: string, value: string, out = false) => clauses(splitPipes(query)[0]).includes(clauseOf(field, value, out));

/** The filter cut at blanks that are outside quotes and brackets. */
export function clauses(filter: string): string[] {
  const out: string[] = [];
  let quote = "";
  let depth = 0;
  let word = "";
  for (let i = 0; i < filter.length; i++) {
    const c = filter[i]!;
    if (quote) {
      word += c;
      if (c === "\\" && quote !== "`") word += filter[++i] ?? "";
      else if (c === quote) quote = "";
      continue;
    }
    if (c === '"' || c === "'" || c === "`") quote = c;
    else if (c === "(" || c === "{") depth++;
    else if (c === ")" || c === "}") depth--;
    if (/\s/.test(c) && depth <= 0) {
      if (word) out.push(word);
      word = "";
    } else word += c;
  }
  if (word) out.push(word);
  return out;
}

/** Lengths of a bar, in seconds. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800];

/** The shortest bar that leaves at most `most` of them in a range of ms. */
export const stepFor = (length: number, most: number) => steps.find((s) => length / (s * 1000) <= most) ?? Math.ceil(length / 1000 / most);

export interface Bar {
  at: number; // Unix ms, where it begins
  n: Record<Severity, number>;
  all: number;
}

export const noCounts = (): Record<Severity, number> => ({ other: 0, trace: 0, debug: 0, info: 0, warn: 0, error: 0, fatal: 0 });

/** Bars without gaps from counts by moment and severity. */
export function bars(counts: { at: number; severity: string; n: number }[], from: number, to: number, step: number): Bar[] {
  const ms = step * 1000;
  const first = Math.floor(from / ms) * ms;
  const out: Bar[] = Array.from({ length: Math.max(1, Math.floor((to - first) / ms) + 1) }, (_, i) => ({ at: first + i * ms, n: noCounts(), all: 0 }));
  for (const c of counts) {
    const b = out[Math.floor((c.at - first) / ms)];
    if (!b) continue;
    b.n[severityOf(c.severity)] += c.n;
    b.all += c.n;
  }
  return out;
}

const key = "norn-log-queries";
const kept = 12;

/** The queries that were sent last, newest first. */
export function recentQueries(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(list) ? list.filter((x): x is string => typeof x === "string").slice(0, kept) : [];
  } catch {
    return [];
  }
}

export function remember(query: string): void {
  if (!query.trim()) return;
  try {
    localStorage.setItem(key, JSON.stringify([query, ...recentQueries().filter((q) => q !== query)].slice(0, kept)));
  } catch {
    // Storage is off or full: there are no recent queries.
  }
}

/** All that a line says, in the order in which it is shown. */
export function fieldsOf(l: LogLine): [string, string][] {
  const own: [string, string][] = [["service", l.service], ["severity", l.severity]];
  return [...own.filter(([, v]) => v), ...Object.entries(l.fields).sort(([a], [b]) => a.localeCompare(b))];
}

/** What tells a line from its neighbours, short enough for a URL. */
export function lineKey(l: LogLine): string {
  let h = 5381;
  for (const c of `${l.service}\n${l.message}\n${l.trace_id ?? ""}`) h = ((h << 5) + h + c.codePointAt(0)!) | 0;
  return `${l.time}~${(h >>> 0).toString(36)}`;
}

/** One JSON object a line, fields beside what every line has. */
export const toNDJSON = (lines: LogLine[]) =>
  lines.map((l) => `${JSON.stringify({ _time: l.time, severity: l.severity, service: l.service, _msg: l.message, ...(l.trace_id ? { trace_id: l.trace_id } : {}), ...(l.template ? { template: l.template } : {}), ...l.fields })}\n`).join("");

/** A cell as RFC 4180 wants it; what a spreadsheet would take for a formula is made text. */
const cell = (v: string) => {
  const safe = /^[=+\-@\t\r]/.test(v) && !/^-?[\d.]+$/.test(v) ? `'${v}` : v;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** A table with a column for every field that any line has. */
export function toCSV(lines: LogLine[]): string {
  const more = [...new Set(lines.flatMap((l) => Object.keys(l.fields)))].sort();
  const rows = lines.map((l) => [l.time, l.severity, l.service, l.message, l.trace_id ?? "", l.template ?? "", ...more.map((k) => l.fields[k] ?? "")]);
  return [["_time", "severity", "service", "_msg", "trace_id", "template", ...more], ...rows].map((r) => `${r.map(cell).join(",")}\r\n`).join("");
}
