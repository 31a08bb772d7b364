import { describe, expect, it } from "vitest";
import type { Span } from "../api/client";
import { traceRows } from "./trace";

const span = (span_id: string, parent_id: string, start: number, end: number) => ({ span_id, parent_id, start_unix_nano: start, end_unix_nano: end }) as Span;

describe("the rows of a trace", () => {
  it("stand under their parents, by start", () => {
    const rows = traceRows([span("c", "a", 50, 90), span("d", "b", 20, 30), span("b", "a", 10, 40), span("a", "", 0, 100)]);
    expect(rows.map((r) => [r.span.span_id, r.depth])).toEqual([["a", 0], ["b", 1], ["d", 2], ["c", 1]]);
    expect(rows.map((r) => r.own)).toEqual([30, 20, 10, 40]);
  });

  it("count overlapping children and those that outlive their parent once", () => {
    expect(traceRows([span("a", "", 0, 100), span("b", "a", 10, 60), span("c", "a", 40, 300)])[0]!.own).toBe(10);
  });

  it("lose no span, whatever the parents say", () => {
    const broken = [span("a", "b", 0, 10), span("b", "a", 1, 9), span("c", "gone", 2, 3), span("d", "d", 4, 5), span("d", "", 6, 7)];
    expect(traceRows(broken)).toHaveLength(5);
    expect(traceRows([])).toEqual([]);
  });
});
