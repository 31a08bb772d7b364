// The tree of a trace's spans, as rows from top to bottom.

import type { Span } from "../api/client";

export interface TraceRow {
  span: Span;
  depth: number;
  own: number; // nanoseconds that no child accounts for
}

const byStart = (a: Span, b: Span) => a.start_unix_nano - b.start_unix_nano || a.span_id.localeCompare(b.span_id);

/** The time of s that its children do not cover; they may overlap and outlive it. */
function ownTime(s: Span, children: Span[]): number {
  let covered = 0;
  let at = s.start_unix_nano;
  for (const c of children) {
    const from = Math.max(at, c.start_unix_nano);
    const to = Math.min(s.end_unix_nano, c.end_unix_nano);
    if (to > from) {
      covered += to - from;
      at = to;
    }
  }
  return Math.max(0, s.end_unix_nano - s.start_unix_nano - covered);
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
      rows.push({ span, depth, own: ownTime(span, below) });
      for (let i = below.length - 1; i >= 0; i--) stack.push([below[i]!, depth + 1]);
    }
  };
  tops.forEach(walk);
  [...spans].sort(byStart).forEach((s) => seen.has(s) || walk(s));
  return rows;
}
