// What an operator sets for detection, as plain data: changes, differences,
// where a refusal belongs, and all of it in words.

import type { Schemas } from "../api/client";
import { number, percent, plural } from "./format";

export type Config = Schemas["Config"];
export type Rule = Schemas["Rule"];
export type Mute = Schemas["Mute"];
export type CustomMetric = Schemas["CustomMetric"];
export type List = keyof Config;

interface Items {
  rules: Rule;
  mutes: Mute;
  custom_metrics: CustomMetric;
}
type Item = Items[List];

/** Something that is wrong with what was sent, and where: rules[2].match. */
export interface Fault {
  path: string;
  message: string;
}

export const members = ["level", "drift", "spike", "shape", "silence", "up", "load", "jump", "distance", "run", "novelty", "size"];

/** The settings with one entry put in place of the one of that name (at the end when there is none), or without it (null). */
export function put<L extends List>(c: Config, list: L, name: string, item: Items[L] | null): Config {
  const old = c[list] as Item[];
  const at = old.findIndex((x) => x.name === name);
  const next = [...old];
  if (item === null) {
    if (at >= 0) next.splice(at, 1);
  } else if (at >= 0) next[at] = item;
  else next.push(item);
  return { ...c, [list]: next };
}

/** Where put puts the entry of this name. */
export function placeOf(c: Config, list: List, name: string): number {
  const at = (c[list] as Item[]).findIndex((x) => x.name === name);
  return at < 0 ? c[list].length : at;
}

/** The faults of one entry, by the rest of their path ("" is the entry itself). */
export function faultsOf(faults: Fault[], list: List, place: number): Map<string, string> {
  const prefix = `${list}[${place}]`;
  const out = new Map<string, string>();
  for (const f of faults) {
    if (!f.path.startsWith(prefix)) continue;
    const rest = f.path.slice(prefix.length).replace(/^\./, "");
    out.set(rest, out.has(rest) ? `${out.get(rest)}; ${f.message}` : f.message);
  }
  return out;
}

export interface Difference {
  list: List;
  name: string;
  kind: "added" | "removed" | "changed";
}

/** Without what an empty form leaves, so that the same settings are equal. */
function plain(v: unknown): unknown {
  if (Array.isArray(v)) return v.length ? v.map(plain) : undefined;
  if (v && typeof v === "object") {
    const kept = Object.entries(v)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, x]) => [k, plain(x)] as const)
      .filter(([, x]) => x !== undefined && x !== "");
    return kept.length ? Object.fromEntries(kept) : undefined;
  }
  return v;
}

export const same = (a: unknown, b: unknown) => JSON.stringify(plain(a)) === JSON.stringify(plain(b));

export function differences(from: Config, to: Config): Difference[] {
  const out: Difference[] = [];
  for (const list of ["rules", "mutes", "custom_metrics"] as const) {
    const before = new Map((from[list] as Item[]).map((x) => [x.name, x]));
    const after = new Map((to[list] as Item[]).map((x) => [x.name, x]));
    for (const [name, x] of after) {
      const was = before.get(name);
      if (!was) out.push({ list, name, kind: "added" });
      else if (!same(was, x)) out.push({ list, name, kind: "changed" });
    }
    for (const name of before.keys()) if (!after.has(name)) out.push({ list, name, kind: "removed" });
  }
  return out;
}

export const listWord: Record<List, string> = { rules: "rule", mutes: "mute", custom_metrics: "custom metric" };

const ways: Record<string, string> = { up: "only rises count", down: "only falls count", both: "both ways count" };

/** What a rule does, in words. */
export function ruleText(r: Rule): string {
  const says: string[] = [];
  if (r.weight === 0) return "not watched";
  if (r.weight !== undefined && r.weight !== 1) says.push(`weight ${number(r.weight)}`);
  if (r.direction) says.push(ways[r.direction] ?? r.direction);
  if (r.sensitivity) says.push(`sensitivity ${r.sensitivity}`);
  const { absolute, relative } = r.min_deviation ?? {};
  if (absolute !== undefined || relative !== undefined)
    says.push(`deviates by at least ${[absolute === undefined ? "" : number(absolute), relative === undefined ? "" : percent(relative, 3)].filter(Boolean).join(" and ")}`);
  const { min, max } = r.range ?? {};
  if (min !== undefined && max !== undefined) says.push(`only ${number(min)} to ${number(max)} is data`);
  else if (min !== undefined) says.push(`below ${number(min)} is no data`);
  else if (max !== undefined) says.push(`above ${number(max)} is no data`);
  for (const [m, w] of Object.entries(r.member_weights ?? {})) says.push(w === 0 ? `${m} is not heard` : `${m} counts ${number(w)}`);
  return says.join(", ") || "changes nothing";
}

const local = (iso: string) => {
  const d = new Date(iso);
  if (Number.isNaN(d.getTime())) return iso;
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
};

/** When a mute is open, in words and local time. */
export function windowText(m: Mute): string {
  const says: string[] = [];
  if (m.weekly) {
    const days = m.weekly.days?.length ? m.weekly.days.join(", ") : "every day";
    says.push(`${days} ${m.weekly.from} to ${m.weekly.to} ${m.weekly.time_zone || "UTC"}`);
  }
  if (m.start && m.end) says.push(`${local(m.start)} to ${local(m.end)}`);
  else if (m.start) says.push(`from ${local(m.start)} on`);
  else if (m.end) says.push(`until ${local(m.end)}`);
  return says.join(", ");
}

/** Open, to come, or over; a weekly one comes again. */
export function muteState(m: Mute, open: boolean, now: number): "open" | "waits" | "over" {
  if (open) return "open";
  if (m.end && new Date(m.end).getTime() <= now) return "over";
  return "waits";
}

const quoted = (v: string) => `"${v.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;

/** A selector that names exactly what these labels name. */
export function selectorOf(labels: Record<string, string>): string {
  const { __name__: name = "", ...rest } = labels;
  const plainName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
  const parts = Object.entries(rest)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(k) ? k : quoted(k)}=${quoted(v)}`);
  if (name && !plainName) parts.unshift(`__name__=${quoted(name)}`);
  const set = parts.length || !plainName ? `{${parts.join(",")}}` : "";
  return `${plainName ? name : ""}${set}`;
}

/** A name that no entry has yet. */
export function freeName(wish: string, taken: Iterable<string>): string {
  const all = new Set(taken);
  for (let n = 1; ; n++) {
    const name = n === 1 ? wish : `${wish} (${n})`;
    if (!all.has(name)) return name;
  }
}

/** "2 rules changed, 1 mute added". */
export function differenceText(ds: Difference[]): string {
  const count = new Map<string, number>();
  for (const d of ds) count.set(`${listWord[d.list]}|${d.kind}`, (count.get(`${listWord[d.list]}|${d.kind}`) ?? 0) + 1);
  return [...count]
    .map(([k, n]) => {
      const [word, kind] = k.split("|");
      return `${plural(n, word!)} ${kind}`;
    })
    .join(", ");
}

/** A number from a form's field: undefined when it is empty, NaN when it is none. */
export function fieldNumber(text: string): number | undefined {
  const t = text.trim().replace(",", ".");
  return t === "" ? undefined : Number(t);
}
