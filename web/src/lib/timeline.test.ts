import { describe, expect, it } from "vitest";
import type { TimelineEvent } from "../api/client";
import { foldSigns } from "./timeline";

const at = (s: number, kind: string, name = "", text = kind): TimelineEvent => ({ time_unix_ms: s * 1000, kind, text, entity: { kind: name ? "service" : "", name } });

describe("what happened", () => {
  it("makes one line of signs that come together, and keeps what a person did", () => {
    const list = foldSigns([at(100, "acknowledged"), at(60, "anomaly", "orders"), at(55, "anomaly", "orders"), at(50, "anomaly", "orders-db"), at(40, "opened")]);
    expect(list.map((e) => e.kind)).toEqual(["acknowledged", "anomaly", "opened"]);
    expect(list[1]).toMatchObject({ text: "3 signs at orders, orders-db", time_unix_ms: 50_000, entity: { name: "" } });
  });

  it("leaves two signs, and signs far apart, as they are", () => {
    expect(foldSigns([at(60, "anomaly", "a"), at(55, "anomaly", "b")])).toHaveLength(2);
    expect(foldSigns([at(300, "anomaly", "a"), at(200, "anomaly", "b"), at(100, "anomaly", "c")])).toHaveLength(3);
  });

  it("names at most four", () =>
    expect(foldSigns(["a", "b", "c", "d", "e", "f"].map((n, i) => at(60 - i, "anomaly", n)))[0]!.text).toBe("6 signs at a, b, c, d and 2 more"));
});
