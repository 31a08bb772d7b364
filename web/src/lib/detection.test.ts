import { describe, expect, it } from "vitest";
import { differences, differenceText, faultsOf, fieldNumber, freeName, muteState, placeOf, put, ruleText, selectorOf, windowText, type Config } from "./detection";

const none: Config = { rules: [], mutes: [], custom_metrics: [] };
const two: Config = { ...none, rules: [{ name: "a", match: "x" }, { name: "b", match: "y", weight: 2 }] };

describe("settings of detection", () => {
  it("are changed in place, added at the end, taken out, and the rest is left alone", () => {
    expect(put(two, "rules", "a", { name: "a2", match: "z" }).rules.map((r) => r.name)).toEqual(["a2", "b"]);
    expect([placeOf(two, "rules", "b"), placeOf(two, "rules", "")]).toEqual([1, 2]);
    expect(put(two, "rules", "a", null).rules.map((r) => r.name)).toEqual(["b"]);
    expect(put(two, "rules", "c", null)).toEqual(two);
    expect(two.rules).toHaveLength(2);
  });
  it("differ in what was added, removed and changed; what is empty is no difference", () => {
    const to = put(put(two, "rules", "a", null), "mutes", "m", { name: "m", match: "{}", start: "2026-01-01T00:00:00Z" });
    const ds = differences(two, put(to, "rules", "b", { name: "b", match: "y", weight: 3 }));
    expect(ds).toEqual([{ list: "rules", name: "b", kind: "changed" }, { list: "rules", name: "a", kind: "removed" }, { list: "mutes", name: "m", kind: "added" }]);
    expect(differenceText([...ds, { list: "rules", name: "c", kind: "changed" }])).toBe("2 rules changed, 1 rule removed, 1 mute added");
    expect(differences(two, put(two, "rules", "a", { name: "a", match: "x", direction: "", range: {}, member_weights: {} }))).toEqual([]);
  });
  it("show each fault at its field", () => {
    const faults = [
      { path: "rules[1].match", message: "no selector" }, { path: "rules[1].range", message: "min above max" }, { path: "rules[1]", message: "the name is taken" },
      { path: "rules[1].range", message: "twice" }, { path: "rules[11].match", message: "another" }, { path: "mutes[1].match", message: "another" },
    ];
    expect([...faultsOf(faults, "rules", 1)]).toEqual([["match", "no selector"], ["range", "min above max; twice"], ["", "the name is taken"]]);
  });
  it("are said in words", () => {
    expect(ruleText({ name: "r", match: "x", weight: 0, direction: "up" })).toBe("not watched");
    expect(ruleText({ name: "r", match: "x" })).toBe("changes nothing");
    expect(
      ruleText({ name: "r", match: "x", weight: 2, direction: "up", sensitivity: "low", min_deviation: { absolute: 5, relative: 0.2 }, range: { min: 0, max: 1 }, member_weights: { shape: 0, spike: 0.5 } }),
    ).toBe("weight 2, only rises count, sensitivity low, deviates by at least 5 and 20 %, only 0 to 1 is data, shape is not heard, spike counts 0.5");
    expect(ruleText({ name: "r", match: "x", range: { min: 0 } })).toBe("below 0 is no data");
  });
  it("tell when a mute is open", () => {
    const m = { name: "m", match: "{}", end: "2026-01-01T00:00:00Z" };
    expect(windowText({ name: "m", match: "{}", weekly: { days: ["mon", "tue"], from: "22:00", to: "04:00", time_zone: "Europe/Berlin" } })).toBe("mon, tue 22:00 to 04:00 Europe/Berlin");
    expect(windowText({ name: "m", match: "{}", weekly: { from: "22:00", to: "04:00" } })).toBe("every day 22:00 to 04:00 UTC");
    expect(windowText(m)).toMatch(/^until 202[56]-\d\d-\d\d \d\d:\d\d$/);
    expect(windowText({ ...m, end: "soon" })).toBe("until soon");
    const end = Date.parse(m.end);
    expect([muteState(m, true, end - 1), muteState(m, false, end - 1), muteState(m, false, end)]).toEqual(["open", "waits", "over"]);
  });
});

describe("forms", () => {
  it("name one series by its labels, whatever these hold", () => {
    expect(selectorOf({ __name__: "up", job: "a" })).toBe('up{job="a"}');
    expect(selectorOf({ __name__: "up" })).toBe("up");
    expect(selectorOf({})).toBe("{}");
    expect(selectorOf({ __name__: "a.b", "x.y": 'say "hi"\\\n' })).toBe('{__name__="a.b","x.y"="say \\"hi\\"\\\\\\n"}');
  });
  it("find a name that is free", () => {
    expect(freeName("cart", [])).toBe("cart");
    expect(freeName("cart", ["cart", "cart (2)"])).toBe("cart (3)");
  });
  it("read numbers as people write them", () => {
    expect([fieldNumber(""), fieldNumber(" 1,5 "), fieldNumber("2e3"), fieldNumber("0")]).toEqual([undefined, 1.5, 2000, 0]);
    expect(fieldNumber("ten")).toBeNaN();
  });
});
