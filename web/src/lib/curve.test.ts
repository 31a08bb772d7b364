import { describe, expect, it } from "vitest";
import { align, nearest, valueRange } from "./curve";

const band = { t_unix_ms: [1000, 3000], expected: [5, 5], low: [4, 4], high: [6, 6] };

describe("charts' data", () => {
  it("merges values and band on one axis without inventing gaps", () => {
    const c = align({ t_unix_ms: [1000, 2000, 3000], v: [5, 9, 5] }, band, []);
    expect(c[0]).toEqual([1, 2, 3]);
    expect(c[1]).toEqual([5, 9, 5]);
    expect(c[3]).toEqual([4, undefined, 4]);
  });

  it("keeps a silence as a gap", () => {
    expect(align({ t_unix_ms: [1, 2, 3], v: [1, null, 2] }, undefined, [])[1]).toEqual([1, null, 2]);
  });

  it("flags only what is outside the band while an anomaly lasts", () => {
    const open = { onset_unix_ms: 1500, last_seen_unix_ms: 2500, ended_unix_ms: 0 };
    expect(align({ t_unix_ms: [1000, 2000, 3000, 4000], v: [9, 9, 5, 9] }, band, [open])[5]).toEqual([undefined, 9, undefined, 9]);
    const ended = { ...open, ended_unix_ms: 2500 };
    expect(align({ t_unix_ms: [2000, 4000], v: [9, 9] }, band, [ended])[5]).toEqual([undefined, 9, undefined, undefined]);
  });

  it("shows zero when values are near it, and does not waste the chart when they are not", () => {
    expect(valueRange(align({ t_unix_ms: [1, 2], v: [1, 10] }, undefined, []))[0]).toBe(0);
    expect(valueRange(align({ t_unix_ms: [1, 2], v: [990, 1000] }, undefined, []))[0]).toBeGreaterThan(900);
    expect(valueRange(align({ t_unix_ms: [], v: [] }, undefined, []))).toEqual([0, 1]);
    expect(valueRange(align({ t_unix_ms: [1], v: [0] }, undefined, []))).toEqual([0, 1]);
  });

  it("finds the value nearest to the cursor", () => {
    expect(nearest([1, undefined, undefined, 4], 2)).toBe(3);
    expect(nearest([undefined], 0)).toBe(-1);
  });
});
