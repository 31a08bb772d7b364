import { describe, expect, it } from "vitest";
import { persistently } from "./retry";

describe("loading over a broken connection", () => {
  it("goes on until it succeeds", async () => {
    let calls = 0;
    const load = async () => {
      if (++calls < 4) throw new Error("no network");
      return "chart";
    };
    expect([await persistently(load, 60, 0), calls]).toEqual(["chart", 4]);
  });

  it("gives up in the end, with the reason", () => expect(persistently(() => Promise.reject(new Error("gone")), 3, 0)).rejects.toThrow("gone"));
});
