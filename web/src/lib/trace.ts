// The tree of a trace's spans, as rows from top to bottom.

import type { Span } from "../api/client";

export interface TraceRow {
  span: Span;
  depth: number;
  own: number; // nanoseconds that no child accounts for
  parts: [from: number, to: number][]; // where that is, Unix ns
  /** Of a call: what the caller waited beyond what the other side worked, in ns; null when that is not known. */
  gap: number | null;
  below: number; // how many spans hang on it
  failedBelow: boolean;
}

const byStart = (a: Span, b: Span) => a.start_unix_nano - b.start_unix_nano || a.span_id.localeCompare(b.span_id);

/** The time of s that its children do not cover; they may overlap and outlive it. */
function ownParts(s: Span, children: Span[]): [number, number][] {
  const parts: [number, number][] = [];
  let at = s.start_unix_nano;
  for (const c of children) {
    const from = Math.min(s.end_unix_nano, c.start_unix_nano);
    if (from > at) parts.push([at, from]);
    at = Math.max(at, Math.min(s.end_unix_nano, c.end_unix_nano));
  }
  if (s.end_unix_nano > at) parts.push([at, s.end_unix_nano]);
  return parts;
}

export const lengthOf = (s: Span) => s.end_unix_nano - s.start_unix_nano;

/** A caller waits for the network and the other side's queue besides its work. */
function edgeGap(s: Span, children: Span[]): number | null {
  const served = s.kind === "client" ? children.filter((c) => c.kind === "server") : [];
  return served.length === 1 ? Math.max(0, lengthOf(s) - lengthOf(served[0]!)) : null;
}

/**
 * Parents before their children, both by start. A span whose parent is not
 * there stands at the top, so that nothing is lost; a cycle of parents (broken
 * senders) is cut where it begins.
 */
export function traceRows(spans: Span[]): TraceRow[] {
  const ids = new Set(spans.map((s) => s.span_id));
  const children = new Map<string, Span[]>();
  const tops: Span[] = [];
  for (const s of [...spans].sort(byStart)) {
    const parent = s.parent_id && s.parent_id !== s.span_id && ids.has(s.parent_id) ? s.parent_id : "";
    if (!parent) tops.push(s);
    else children.set(parent, [...(children.get(parent) ?? []), s]);
  }
  const rows: TraceRow[] = [];
  const seen = new Set<Span>();
  const walk = (first: Span) => {
    const stack: [Span, number][] = [[first, 0]];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const [span, depth] = next;
      if (seen.has(span)) continue;
      seen.add(span);
      const below = children.get(span.span_id) ?? [];
      const parts = ownParts(span, below);
      rows.push({ span, depth, own: parts.reduce((n, [a, b]) => n + b - a, 0), parts, gap: edgeGap(span, below), below: 0, failedBelow: false });
      for (let i = below.length - 1; i >= 0; i--) stack.push([below[i]!, depth + 1]);
    }
  };
  tops.forEach(walk);
  [...spans].sort(byStart).forEach((s) => seen.has(s) || walk(s));
  countBelow(rows);
  return rows;
}

/** From the last row up: what hangs on a row follows it, deeper. */
function countBelow(rows: TraceRow[]): void {
  const path: TraceRow[] = [];
  for (const r of rows) {
    path.length = r.depth;
    for (const above of path) {
      above.below++;
      above.failedBelow ||= r.span.error;
    }
    path[r.depth] = r;
  }
}

/** More spans than this are folded at first. */
const many = 120;

/**
 * Which spans of a long trace are folded at first: those two levels down and
 * deeper that hide neither a failure nor one of the five longest own times.
 */
export function foldedAtFirst(rows: TraceRow[]): Set<string> {
  const folded = new Set<string>();
  if (rows.length <= many) return folded;
  const long = new Set([...rows].sort((a, b) => b.own - a.own).slice(0, 5));
  rows.forEach((r, i) => {
    if (r.depth < 2 || r.below === 0 || r.failedBelow) return;
    if (!rows.slice(i + 1, i + 1 + r.below).some((x) => long.has(x))) folded.add(r.span.span_id);
  });
  return folded;
}

/** Rows without those below a folded one. */
export function unfolded(rows: TraceRow[], folded: Set<string>): TraceRow[] {
  const out: TraceRow[] = [];
  for (let i = 0; i < rows.length; i++) {
    const r = rows[i]!;
    out.push(r);
    if (folded.has(r.span.span_id)) i += r.below;
  }
  return out;
}

export interface Operation {
  span: Span; // the slowest one, the example
  failed: Span | undefined; // the newest one that failed
  calls: number;
  errors: number;
  median: number; // ns
  p95: number; // ns
  own: number; // ns, of all its spans together
}

/** What was called, from spans: those that took the most time of their own first. */
export function operations(spans: Span[]): Operation[] {
  const traces = new Map<string, Span[]>();
  for (const s of spans) {
    const list = traces.get(s.trace_id);
    if (list) list.push(s);
    else traces.set(s.trace_id, [s]);
  }
  const found = new Map<string, { spans: Span[]; own: number }>();
  for (const list of traces.values())
    for (const r of traceRows(list)) {
      const key = `${r.span.entity.kind}/${r.span.entity.name}\n${r.span.kind}\n${r.span.name}`;
      const o = found.get(key) ?? { spans: [], own: 0 };
      o.spans.push(r.span);
      o.own += r.own;
      found.set(key, o);
    }
  return [...found.values()]
    .map(({ spans: list, own }) => {
      const sorted = [...list].sort((a, b) => lengthOf(a) - lengthOf(b));
      const at = (q: number) => lengthOf(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!);
      const bad = list.filter((x) => x.error).sort((a, b) => b.start_unix_nano - a.start_unix_nano);
      return { span: sorted.at(-1)!, failed: bad[0], calls: list.length, errors: bad.length, median: at(0.5), p95: at(0.95), own };
    })
    .sort((a, b) => b.own - a.own);
}
