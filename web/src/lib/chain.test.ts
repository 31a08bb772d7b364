import { describe, expect, it } from "vitest";
import { layoutChain, type ChainCause, type ChainLink, type ChainOptions } from "./chain";

const opts: ChainOptions = { vertical: false, nodeW: 160, nodeH: 50, gapLayer: 60, gapNode: 16, maxNodes: 12, users: true };
const svc = (name: string) => ({ kind: "service", name });
const cause = (name: string, role: string, by: [string, number][] = []): ChainCause => ({
  entity: svc(name), role, probability: 0.5, explained_by: by.map(([n, share]) => ({ by: svc(n), share })),
});
const calls = (from: string, to: string): ChainLink => ({ from: svc(from), to: svc(to), kind: "calls" });
const layerOf = (l: ReturnType<typeof layoutChain>, name: string) => l.nodes.find((n) => n.entity.name === name)?.layer;

describe("cause chain", () => {
  it("puts the database left of who waits for it, and users last", () => {
    const l = layoutChain(
      [cause("db", "root"), cause("orders", "intermediate", [["db", 0.92]]), cause("gateway", "symptom", [["orders", 0.8]])],
      [calls("orders", "db"), calls("gateway", "orders")],
      opts,
    );
    expect(["db", "orders", "gateway", "Users"].map((n) => layerOf(l, n))).toEqual([0, 1, 2, 3]);
    expect(l.edges.map((e) => [e.from.entity.name, e.to.entity.name, e.share])).toEqual([
      ["db", "orders", 0.92], ["orders", "gateway", 0.8], ["gateway", "Users", null],
    ]);
  });

  it("survives a dependency cycle and draws one edge, the way that explains", () => {
    const l = layoutChain([cause("a", "root"), cause("b", "symptom", [["a", 0.7]])], [calls("a", "b"), calls("b", "a")], opts);
    expect(l.edges.filter((e) => e.to.role !== "users")).toHaveLength(1);
    expect(l.edges[0]?.share).toBe(0.7);
    expect(layerOf(l, "a")).toBe(0);
  });

  it("draws an explanation without a seen call as indirect", () => {
    const l = layoutChain([cause("host", "root"), cause("app", "symptom", [["host", 0.6]])], [], opts);
    expect(l.edges[0]).toMatchObject({ direct: false, share: 0.6 });
  });

  it("breaks a wide layer into rows on a phone, none over another", () => {
    const roots = ["a", "b", "c"].map((n) => cause(n, "root"));
    const l = layoutChain([...roots, cause("z", "symptom", [["a", 0.5]])], [calls("z", "a"), calls("z", "b"), calls("z", "c")], { ...opts, vertical: true, perRow: 2 });
    expect(l.width).toBe(2 * 160 + 16);
    for (const n of l.nodes) {
      expect(n.x >= 0 && n.x + 160 <= l.width && n.y >= 0 && n.y + 50 <= l.height).toBe(true);
      for (const m of l.nodes) if (m !== n) expect(Math.abs(m.x - n.x) >= 160 || Math.abs(m.y - n.y) >= 50).toBe(true);
    }
    const z = l.nodes.find((n) => n.entity.name === "z")!;
    expect(Math.max(...l.nodes.filter((n) => n.role === "root").map((n) => n.y))).toBeLessThan(z.y);
  });

  it("leaves bystanders out and says how many it hid", () => {
    const many = Array.from({ length: 20 }, (_, i) => cause(`s${i}`, i === 0 ? "root" : "symptom"));
    const l = layoutChain([...many, cause("idle", "bystander")], [], opts);
    expect(l.nodes.filter((n) => n.role !== "users")).toHaveLength(12);
    expect(l.hidden).toBe(8);
    expect(layerOf(l, "idle")).toBeUndefined();
  });

  it("never lets two nodes overlap, in either orientation", () => {
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const cs = names.map((n, i) => cause(n, i === 0 ? "root" : i < 6 ? "intermediate" : "symptom"));
    const links = names.slice(1).map((n, i) => calls(n, names[Math.floor(i / 3)]!));
    for (const vertical of [false, true]) {
      const l = layoutChain(cs, links, { ...opts, vertical });
      for (const a of l.nodes)
        for (const b of l.nodes)
          if (a !== b) expect(Math.abs(a.x - b.x) >= opts.nodeW || Math.abs(a.y - b.y) >= opts.nodeH).toBe(true);
      for (const n of l.nodes) {
        expect(n.x + opts.nodeW).toBeLessThanOrEqual(l.width);
        expect(n.y + opts.nodeH).toBeLessThanOrEqual(l.height);
      }
    }
  });

  it("draws a single entity, and nothing for no causes", () => {
    expect(layoutChain([cause("a", "root")], [], opts).nodes).toHaveLength(2);
    expect(layoutChain([], [], opts)).toMatchObject({ nodes: [], edges: [], hidden: 0 });
  });

  it("orders layers so that parallel chains do not cross", () => {
    const l = layoutChain(
      [cause("a1", "root"), cause("b1", "root"), cause("b2", "symptom"), cause("a2", "symptom")],
      [calls("a2", "a1"), calls("b2", "b1")],
      { ...opts, users: false },
    );
    const y = (n: string) => l.nodes.find((x) => x.entity.name === n)!.y;
    expect(Math.sign(y("a1") - y("b1"))).toBe(Math.sign(y("a2") - y("b2")));
  });
});
