// Layout of an incident's cause chain: layers from root to users. Pure.
// Edges run the way trouble flows: from what is depended on to who depends.

export type ChainRole = "root" | "intermediate" | "symptom" | "bystander" | "users";

export interface Entity {
  kind: string;
  name: string;
}

export interface ChainCause {
  entity: Entity;
  role: string;
  probability: number;
  explained_by: { by: Entity; share: number }[] | null;
}

export interface ChainLink {
  from: Entity;
  to: Entity;
  kind: string;
}

export interface ChainNode {
  key: string;
  entity: Entity;
  role: ChainRole;
  layer: number;
  x: number;
  y: number;
  cause: number; // index into causes, -1 for users
}

export interface ChainEdge {
  from: ChainNode;
  to: ChainNode;
  share: number | null;
  direct: boolean; // a seen dependency, not only statistics
}

export interface ChainLayout {
  nodes: ChainNode[];
  edges: ChainEdge[];
  layers: number;
  width: number;
  height: number;
  hidden: number; // entities left out
}

export interface ChainOptions {
  vertical: boolean;
  nodeW: number;
  nodeH: number;
  gapLayer: number;
  gapNode: number;
  maxNodes: number;
  users: boolean;
  perRow?: number; // a layer of more nodes is broken into rows, as text into lines
}

export const keyOf = (e: Entity) => `${e.kind}/${e.name}`;

const rank: Record<string, number> = { root: 0, intermediate: 1, symptom: 2 };

/** The causes worth drawing: every role but bystanders, roots first, then as ranked. */
function pick(causes: ChainCause[], max: number): number[] {
  return causes
    .map((_, i) => i)
    .filter((i) => causes[i]!.role !== "bystander")
    .sort((a, b) => (rank[causes[a]!.role] ?? 1) - (rank[causes[b]!.role] ?? 1) || a - b)
    .slice(0, max);
}

export function layoutChain(causes: ChainCause[], links: ChainLink[], o: ChainOptions): ChainLayout {
  const shown = pick(causes, o.maxNodes);
  const nodes = new Map<string, ChainNode>();
  for (const i of shown) {
    const c = causes[i]!;
    const key = keyOf(c.entity);
    if (!nodes.has(key)) nodes.set(key, { key, entity: c.entity, role: c.role as ChainRole, layer: 0, x: 0, y: 0, cause: i });
  }
  const edges = findEdges(causes, links, nodes);
  setLayers([...nodes.values()], edges);
  if (o.users && nodes.size > 0) addUsers(nodes, edges);
  const layers = order([...nodes.values()], edges);
  const { width, height } = place(layers, o);
  return { nodes: [...nodes.values()], edges, layers: layers.length, width, height, hidden: causes.filter((c) => c.role !== "bystander").length - shown.length };
}

function findEdges(causes: ChainCause[], links: ChainLink[], nodes: Map<string, ChainNode>): ChainEdge[] {
  const share = (dependent: ChainNode, by: ChainNode) =>
    causes[dependent.cause]?.explained_by?.find((x) => keyOf(x.by) === by.key)?.share ?? null;
  const seen = new Set<string>();
  const out: ChainEdge[] = [];
  const add = (from: ChainNode | undefined, to: ChainNode | undefined, direct: boolean) => {
    if (!from || !to || from === to || seen.has(`${from.key}>${to.key}`) || seen.has(`${to.key}>${from.key}`)) return;
    seen.add(`${from.key}>${to.key}`);
    out.push({ from, to, share: share(to, from), direct });
  };
  // Where two things depend on each other, the direction that explains something wins.
  const weighted = [...links].sort((a, b) => weight(b) - weight(a));
  function weight(l: ChainLink): number {
    const [f, t] = [nodes.get(keyOf(l.from)), nodes.get(keyOf(l.to))];
    return f && t ? (share(f, t) ?? 0) : -1;
  }
  for (const l of weighted) add(nodes.get(keyOf(l.to)), nodes.get(keyOf(l.from)), true);
  for (const n of nodes.values()) {
    if (out.some((e) => e.to === n)) continue;
    for (const x of causes[n.cause]?.explained_by ?? []) add(nodes.get(keyOf(x.by)), n, false);
  }
  return out;
}

/** Longest path from the sources; cycles are cut where they close. */
function setLayers(nodes: ChainNode[], edges: ChainEdge[]): void {
  const state = new Map<ChainNode, "busy" | "done">();
  const visit = (n: ChainNode): number => {
    const s = state.get(n);
    if (s) return n.layer; // done, or busy: a cycle is cut here
    state.set(n, "busy");
    let layer = 0;
    for (const e of edges) if (e.to === n && state.get(e.from) !== "busy") layer = Math.max(layer, visit(e.from) + 1);
    n.layer = layer;
    state.set(n, "done");
    return layer;
  };
  nodes.forEach(visit);
  const deepest = Math.max(0, ...nodes.map((n) => n.layer));
  for (const n of nodes) {
    // What nothing connects stands where its role says.
    if (edges.some((e) => e.from === n || e.to === n) || n.role === "root") continue;
    n.layer = Math.max(1, n.role === "symptom" ? deepest : Math.min(1, deepest));
  }
}

function addUsers(nodes: Map<string, ChainNode>, edges: ChainEdge[]): void {
  const all = [...nodes.values()];
  const users: ChainNode = {
    key: "users",
    entity: { kind: "users", name: "Users" },
    role: "users",
    layer: Math.max(...all.map((n) => n.layer)) + 1,
    x: 0,
    y: 0,
    cause: -1,
  };
  const ends = all.filter((n) => !edges.some((e) => e.from === n));
  nodes.set(users.key, users);
  for (const n of ends) edges.push({ from: n, to: users, share: null, direct: true });
}

/** Orders nodes within layers so that edges cross little (barycentre, four sweeps). */
function order(nodes: ChainNode[], edges: ChainEdge[]): ChainNode[][] {
  const used = [...new Set(nodes.map((n) => n.layer))].sort((a, b) => a - b);
  const layers = used.map((l) => nodes.filter((n) => n.layer === l));
  layers.forEach((ns, i) => ns.forEach((n) => (n.layer = i)));
  const at = new Map<ChainNode, number>();
  const index = (ns: ChainNode[]) => ns.forEach((n, i) => at.set(n, (i + 0.5) / ns.length));
  layers.forEach(index);
  for (let sweep = 0; sweep < 4; sweep++) {
    const down = sweep % 2 === 0;
    for (const ns of down ? layers : [...layers].reverse()) {
      const centre = new Map(
        ns.map((n) => {
          const near = edges.filter((e) => (down ? e.to : e.from) === n).map((e) => at.get(down ? e.from : e.to)!);
          return [n, near.length ? near.reduce((a, b) => a + b, 0) / near.length : at.get(n)!];
        }),
      );
      ns.sort((a, b) => centre.get(a)! - centre.get(b)!);
      index(ns);
    }
  }
  return layers;
}

function place(layers: ChainNode[][], o: ChainOptions): { width: number; height: number } {
  const [along, across] = o.vertical ? [o.nodeH, o.nodeW] : [o.nodeW, o.nodeH];
  const fit = o.perRow ?? Infinity;
  const most = Math.max(1, ...layers.map((l) => Math.min(fit, l.length)));
  const breadth = most * across + (most - 1) * o.gapNode;
  let a = 0;
  for (const layer of layers) {
    const rows = Math.ceil(layer.length / fit) || 1;
    const per = Math.ceil(layer.length / rows);
    for (let r = 0; r < rows; r++) {
      const ns = layer.slice(r * per, (r + 1) * per);
      const used = ns.length * across + (ns.length - 1) * o.gapNode;
      ns.forEach((n, j) => {
        const b = (breadth - used) / 2 + j * (across + o.gapNode);
        [n.x, n.y] = o.vertical ? [b, a] : [a, b];
      });
      a += along + (r < rows - 1 ? o.gapNode : o.gapLayer);
    }
  }
  const length = Math.max(along, a - o.gapLayer);
  return o.vertical ? { width: breadth, height: length } : { width: length, height: breadth };
}
