import { describe, expect, it } from "vitest";
import type { Span } from "../api/client";
import { foldedAtFirst, operations, traceRows, unfolded } from "./trace";

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

  it("tell what a caller waited beyond the other side's work", () => {
    const call = { ...span("c", "", 0, 100), kind: "client" } as Span;
    const served = { ...span("s", "c", 30, 80), kind: "server" } as Span;
    expect(traceRows([call, served]).map((r) => r.gap)).toEqual([50, null]);
    expect(traceRows([call])[0]!.gap).toBeNull();
    expect(traceRows([call, served])[0]!.parts).toEqual([[0, 30], [80, 100]]);
  });
});

describe("a long trace", () => {
  const long = (failed: string): Span[] => {
    const spans = [span("root", "", 0, 1e6)];
    for (let i = 0; i < 50; i++) {
      spans.push(span(`a${i}`, "root", i * 10, i * 10 + 9), span(`b${i}`, `a${i}`, i * 10, i * 10 + 9));
      for (let j = 0; j < 8; j++) spans.push({ ...span(`c${i}.${j}`, `b${i}`, i * 10 + j, i * 10 + j + 1), error: `c${i}.${j}` === failed } as Span);
    }
    return spans;
  };
  it("is folded where nothing failed and nothing took long", () => {
    const rows = traceRows(long("c7.3"));
    const folded = foldedAtFirst(rows);
    const shown = unfolded(rows, folded);
    expect(rows).toHaveLength(501);
    expect(shown.length).toBeLessThan(130);
    expect(shown.some((r) => r.span.span_id === "c7.3")).toBe(true);
    expect(unfolded(rows, new Set())).toHaveLength(501);
  });
  it("counts what hangs on each span", () => {
    const rows = traceRows(long("c7.3"));
    expect([rows[0]!.below, rows[0]!.failedBelow]).toEqual([500, true]);
    expect(rows.find((r) => r.span.span_id === "b7")).toMatchObject({ below: 8, failedBelow: true });
    expect(rows.find((r) => r.span.span_id === "b8")).toMatchObject({ below: 8, failedBelow: false });
  });
});

describe("operations", () => {
  const of = (trace_id: string, id: string, name: string, length: number, error = false) => ({ ...span(id, "", 0, length), trace_id, name, kind: "server", error, entity: { kind: "service", name: "cart" } }) as Span;
  it("name the slowest and a failed one, and come by their own time", () => {
    const list = operations([of("1", "a", "get", 10), of("2", "a", "get", 90, true), of("3", "a", "put", 50)]);
    expect(list.map((o) => [o.span.name, o.calls, o.errors, o.own])).toEqual([["get", 2, 1, 100], ["put", 1, 0, 50]]);
    expect([list[0]!.span.trace_id, list[0]!.failed?.trace_id, list[1]!.failed]).toEqual(["2", "2", undefined]);
  });
});
