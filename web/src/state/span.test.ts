import { describe, expect, it } from "vitest";
import { label, readSpan, resolve, shift } from "./span";

describe("time range in the URL", () => {
  const now = 1_772_593_200_000;
  it("understands ages, now and milliseconds", () => {
    expect(resolve("-90m", now)).toBe(now - 5_400_000);
    expect(resolve("now", now)).toBe(now);
    expect(resolve("1772590000000", now)).toBe(1_772_590_000_000);
  });
  it("drops what it does not understand instead of showing an empty page", () => {
    expect(readSpan({ from: "<script>", to: 1_772_590_000_000 })).toEqual({ from: undefined, to: "1772590000000" });
  });
  it("moves by half its length", () => expect(shift({ from: "-1h", to: "now" }, now, -1)).toEqual({ from: String(now - 5_400_000), to: String(now - 1_800_000) }));
  it("names relative ranges only", () => {
    expect(label({ from: "-6h" }, "-1h")).toBe("Last 6 h");
    expect(label({ from: "1772590000000", to: "1772593000000" }, "-1h")).toBe("");
  });
});
