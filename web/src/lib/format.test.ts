import { describe, expect, it } from "vitest";
import { clock, compact, duration, fullTime, lines, middle, number, percent, plural, value } from "./format";

describe("numbers", () => {
  it.each([
    [0, "0"], [0.123456, "0.123"], [12.3456, "12.3"], [999.4, "999"], [1234.5, "1235"], [41230, "41,230"], [-41230, "-41,230"],
    [2.5, "2.5"], [100, "100"], [0.00001, "0.00001"], [0.0000001, "1.0e-7"], [Number.NaN, "–"], [Infinity, "–"],
  ])("%f is %s", (v, want) => expect(number(v)).toBe(want));

  it.each([[950, "950"], [999.7, "1k"], [41230, "41.2k"], [1_000_000, "1M"], [-2_500_000_000, "-2.5G"]])("%f compact is %s", (v, want) =>
    expect(compact(v)).toBe(want),
  );
});

describe("units", () => {
  it("never falls into exponents at a border", () => {
    expect([percent(0.9971), percent(0.996), value(0.9998, "s"), value(119.97, "s")]).toEqual(["99.7 %", "99.6 %", "1000 ms", "120 s"]);
  });

  it.each([
    [0.0042, "s", "4.2 ms"], [0.21, "s", "210 ms"], [1.5, "s", "1.5 s"], [600, "s", "10 min"], [0.0000005, "s", "500 ns"],
    [1536, "By", "1.5 KiB"], [512 * 1024 * 1024, "By", "512 MiB"], [2048, "By/s", "2 KiB/s"],
    [0.431, "1", "43.1 %"], [0, "1", "0 %"], [12, "1", "12"], [4.2, "{request}/s", "4.2 req/s"], [7, "{line}/s", "7 lines/s"], [20, "1/s", "20/s"],
    [12345, "", "12.3k"], [3, "Cel", "3 Cel"],
  ])("%f %s is %s", (v, unit, want) => expect(value(v, unit)).toBe(want));

  it("shows a missing value as a dash, not as zero", () => {
    expect(value(null, "s")).toBe("–");
    expect(percent(undefined)).toBe("–");
  });

  it("never shows a small share as zero", () => expect(percent(0.00001)).toBe("< 0.01 %"));
});

describe("times", () => {
  it.each([[0, "0 s"], [59_400, "59 s"], [840_000, "14 min"], [7_500_000, "2 h 05 min"], [7_200_000, "2 h"], [273_600_000, "3 d 4 h"], [-5, "0 s"]])(
    "%d ms is %s",
    (ms, want) => expect(duration(ms)).toBe(want),
  );

  it("adds the date to a clock time of another day", () => {
    const now = new Date(2026, 2, 4, 3, 0).getTime();
    expect(clock(now - 60_000, now)).toBe("02:59");
    expect(clock(now - 4 * 3600_000, now)).toBe("2026-03-03 23:00");
  });

  it("gives UTC beside local time", () => expect(fullTime(Date.UTC(2026, 2, 4, 3, 0, 5))).toContain("2026-03-04 03:00:05 UTC"));
});

describe("names", () => {
  it("keeps both ends of a long name", () => {
    const s = middle("eu-central-1.production.orders-db-primary", 20);
    expect(s).toHaveLength(20);
    expect(s.endsWith("primary")).toBe(true);
    expect(middle("orders", 20)).toBe("orders");
  });
  it("breaks text into lines and says when there was more", () => {
    expect(lines("Users see about 23 % of requests at frontend slow.", 27, 2)).toEqual(["Users see about 23 % of", "requests at frontend slow."]);
    expect(lines("one two three four", 7, 2)).toEqual(["one two", "three…"]);
    expect(lines("", 7, 2)).toEqual([]);
  });
  it("counts", () => expect([plural(1, "alert"), plural(1200000, "alert")]).toEqual(["1 alert", "1,200,000 alerts"]));
});
