import { describe, expect, it } from "vitest";
import { clauses, narrowed, narrows, splitPipes } from "./logs";

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
