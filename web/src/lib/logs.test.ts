import { describe, expect, it } from "vitest";
import { bars, clauses, narrowed, narrows, splitPipes, stepFor, toCSV, toNDJSON } from "./logs";

describe("a log query", () => {
  it("is cut where the pipes begin, not inside quotes or brackets", () => {
    expect(splitPipes('error "a | b" | stats count()')).toEqual(['error "a | b"', "| stats count()"]);
    expect(splitPipes("user:in(_time:1h | fields user)")).toEqual(["user:in(_time:1h | fields user)", ""]);
    expect(splitPipes('"an escaped \\" quote | here"')).toEqual(['"an escaped \\" quote | here"', ""]);
  });
  it("is narrowed to a value, and the same click takes it back", () => {
    const q = narrowed("error", "service", "cart");
    expect(q).toBe('error service:="cart"');
    expect(narrows(q, "service", "cart")).toBe(true);
    expect(narrowed(q, "service", "cart")).toBe("error");
    expect(narrowed(q, "service", "cart", true)).toBe('error !service:="cart"');
  });
  it("stays right when it has alternatives, pipes, or values that look like syntax", () => {
    expect(narrowed("a or b", "x", "1")).toBe('(a or b) x:="1"');
    expect(narrowed("* | limit 5", "http.status", "5|0")).toBe('http.status:="5|0" | limit 5');
    const odd = narrowed("", "weird name:", 'say "hi" or go');
    expect(odd).toBe('"weird name:":="say \\"hi\\" or go"');
    expect(narrowed(odd, "weird name:", 'say "hi" or go')).toBe("");
    expect(clauses(odd)).toHaveLength(1);
  });
});

describe("a histogram", () => {
  it("has round bars", () => {
    expect(stepFor(3_600_000, 60)).toBe(60);
    expect(stepFor(15 * 60_000, 60)).toBe(15);
  });
  it("has no gaps, and counts what has no known severity as well", () => {
    const b = bars([{ at: 10_000, severity: "error", n: 3 }, { at: 30_000, severity: "", n: 2 }, { at: 99_000, severity: "info", n: 9 }], 12_000, 39_000, 10);
    expect(b.map((x) => [x.at, x.all])).toEqual([[10_000, 3], [20_000, 0], [30_000, 2]]);
    expect(b[2]!.n.other).toBe(2);
  });
});

describe("an export", () => {
  const l = { time: "2026-01-02T03:04:05Z", service: "cart", severity: "error", message: 'said "no",\nthen left', fields: { code: "=1+1", n: "-5" } };
  it("keeps every field, quotes what needs it, and gives a spreadsheet no formula", () => {
    expect(toCSV([l])).toBe('_time,severity,service,_msg,trace_id,template,code,n\r\n2026-01-02T03:04:05Z,error,cart,"said ""no"",\nthen left",,,\'=1+1,-5\r\n');
  });
  it("is one object a line", () => {
    const text = toNDJSON([l, l]);
    expect(text.trimEnd().split("\n").map((x) => (JSON.parse(x) as Record<string, string>)["_msg"])).toEqual([l.message, l.message]);
  });
});
