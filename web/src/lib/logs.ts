// Log queries as text: where the pipes begin, what a click on a value adds,
// and which were sent last.

import type { LogLine } from "../api/client";

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
