import { describe, expect, it } from "vitest";
import { axisTicks, fateOf, fold, shortName, type Pair } from "./backtest";

const moment = (t: number, ended = 0) => ({ time_unix_ms: t, onset_unix_ms: t, ended_unix_ms: ended, kind: "spike", severity: 0.5, observed: 2, expected: 1 });
const pair = (entity: string, id: string, before: number | null, after: number | null): Pair => ({
  outcome: before === null ? "only_after" : after === null ? "only_before" : "both",
  series_id: id, series: `norn_latency_seconds{entity="service/${entity}", quantile="0.95"}`, entity: { kind: "service", name: entity }, signal: "latency", unit: "s",
  ...(before === null ? {} : { before: moment(before, before + 5) }), ...(after === null ? {} : { after: moment(after) }),
  earlier_ms: before !== null && after !== null ? before - after : 0,
});

describe("a backtest's alarms", () => {
  it("are missed, new, earlier, later or the same", () =>
    expect([pair("a", "1", 10, null), pair("a", "1", null, 10), pair("a", "1", 10, 5), pair("a", "1", 5, 10), pair("a", "1", 5, 5)].map(fateOf)).toEqual(["missed", "new", "earlier", "later", "same"]));
  it("are folded by entity and series, what changes most first, none lost", () => {
    const list = [pair("calm", "1", 5, 5), pair("calm", "1", 6, 6), pair("calm", "2", 7, 8), pair("loud", "3", null, 9), pair("loud", "4", null, 9), pair("loud", "4", 3, null), pair("moved", "5", 9, 5)];
    const folds = fold(list, 100);
    expect(folds.map((f) => [f.entity.name, f.pairs.length])).toEqual([["loud", 3], ["calm", 3], ["moved", 1]]);
    expect(folds[0]!.series.map((s) => s.id)).toEqual(["4", "3"]);
    expect(folds[0]!.count).toEqual({ missed: 1, new: 2, earlier: 0, later: 0, same: 0 });
    expect(folds.flatMap((f) => f.series).reduce((n, s) => n + s.pairs.length, 0)).toBe(list.length);
  });
  it("have a bar in the lane of each side that saw them; what did not end lasts to the end", () => {
    const [f] = fold([pair("a", "1", 10, 20), pair("a", "1", null, 30)], 100);
    expect(f!.before).toEqual([{ from: 10, to: 15, fate: "later" }]);
    expect(f!.after).toEqual([{ from: 20, to: 100, fate: "later" }, { from: 30, to: 100, fate: "new" }]);
  });
  it("have short names", () => {
    expect(shortName('norn_latency_seconds{entity="service/cart", quantile="0.95"}')).toEqual({ what: "latency", which: "p95" });
    expect(shortName('p50(http_server_request_duration_seconds){http_route="/orders/{id}", instance="o-1", service_name="orders"}')).toEqual({ what: "p50(http_server_request_duration_seconds)", which: "/orders/{id}" });
    expect(shortName("up")).toEqual({ what: "up", which: "" });
  });
  it("stand on an axis of round times", () => {
    const from = Date.parse("2026-03-01T10:07:00Z");
    const ticks = axisTicks(from, from + 6 * 3600e3, 6);
    expect(ticks).toHaveLength(6);
    expect(ticks.every((t) => t % 3600e3 === 0 && t >= from)).toBe(true);
    expect(axisTicks(from, from + 31 * 86400e3, 6).length).toBeLessThanOrEqual(7);
    expect(axisTicks(from + 1, from + 1, 6)).toEqual([]);
  });
});
