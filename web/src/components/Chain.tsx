// The picture of an incident: root, what it drags along, who notices.

import { useElementSize } from "@mantine/hooks";
import { useMemo } from "react";
import type { Incident } from "../api/client";
import { layoutChain, type ChainEdge, type ChainNode, type ChainOptions } from "../lib/chain";
import { duration, lines, middle, percent } from "../lib/format";

const signalWords: Record<string, string> = {
  latency: "latency", errors: "errors", traffic: "traffic", saturation: "saturation", network: "network", logs: "logs", up: "down", other: "other",
};

const horizontal: ChainOptions = { vertical: false, nodeW: 178, nodeH: 64, gapLayer: 76, gapNode: 14, maxNodes: 12, users: true };
const vertical: ChainOptions = { vertical: true, nodeW: 184, nodeH: 60, gapLayer: 40, gapNode: 10, maxNodes: 12, users: true, perRow: 2 };

function path(e: ChainEdge, o: ChainOptions): { d: string; mx: number; my: number } {
  const [x1, y1] = o.vertical ? [e.from.x + o.nodeW / 2, e.from.y + o.nodeH] : [e.from.x + o.nodeW, e.from.y + o.nodeH / 2];
  const [x2, y2] = o.vertical ? [e.to.x + o.nodeW / 2, e.to.y - 6] : [e.to.x - 6, e.to.y + o.nodeH / 2];
  const bend = o.vertical ? (y2 - y1) / 2 : (x2 - x1) / 2;
  const d = o.vertical
    ? `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`
    : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  return { d, mx: (x1 + x2) / 2, my: (y1 + y2) / 2 };
}

function Edge({ edge, o }: { edge: ChainEdge; o: ChainOptions }) {
  const { d, mx, my } = path(edge, o);
  const share = edge.share;
  const width = share === null ? 1.3 : 1.3 + 2.4 * share;
  const says =
    share !== null
      ? `${edge.from.entity.name} explains ${percent(share)} of the excess of ${edge.to.entity.name}`
      : `${edge.to.entity.name} depends on ${edge.from.entity.name}`;
  return (
    <g>
      <title>{says}</title>
      <path className={`edge ${share !== null && share >= 0.5 ? "strong" : ""}`} d={d} strokeWidth={width} strokeDasharray={edge.direct ? undefined : "2 4"} markerEnd="url(#norn-arrow)" />
      {share !== null ? (
        <text className="edgelabel" x={mx} y={my - (o.vertical ? -4 : 6)} textAnchor="middle">
          {percent(share)}
        </text>
      ) : null}
    </g>
  );
}

interface NodeProps {
  node: ChainNode;
  o: ChainOptions;
  incident: Incident;
  first: number;
  onPick: (key: string) => void;
}

function Node({ node, o, incident, first, onPick }: NodeProps) {
  const cause = node.cause >= 0 ? incident.causes?.[node.cause] : undefined;
  const chars = Math.floor((o.nodeW - 22) / 7.3);
  const users = node.role === "users";
  const small = Math.floor((o.nodeW - 20) / 5.9);
  const late = cause && cause.onset_unix_ms > first ? `+${duration(cause.onset_unix_ms - first)}` : "first sign";
  const sub = users ? incident.impact_text || "impact unknown" : `${signalWords[cause?.signal ?? "other"] ?? cause?.signal} · ${late}`;
  const role = users ? "FELT BY USERS" : `${node.role.toUpperCase()}${node.role === "root" && cause ? ` ${percent(cause.probability)}` : ""}${cause?.inferred ? " · INFERRED" : ""}`;
  const kind = !users && node.entity.kind !== "service" ? node.entity.kind : "";
  const pick = users ? {} : { tabIndex: 0, role: "button", onClick: () => onPick(node.key), onKeyDown: (e: React.KeyboardEvent) => e.key === "Enter" && onPick(node.key) };
  return (
    <g className={`node ${node.role}`} transform={`translate(${node.x} ${node.y})`} {...pick} data-entity={users ? "" : node.key}>
      <title>{[`${node.entity.kind} ${node.entity.name}`, cause?.sentence, incident.impact_text && users ? incident.impact_text : ""].filter(Boolean).join("\n")}</title>
      <rect className="nodebox" width={o.nodeW} height={o.nodeH} rx="8" />
      <text className="role" x="11" y="17">
        {role}
        {kind && (role.length + kind.length) * 7.2 < o.nodeW - 20 ? <tspan className="sub"> {kind}</tspan> : null}
      </text>
      {users ? (
        lines(sub, small, 2).map((line, i) => (
          <text key={i} className="felt" x="11" y={35 + i * 15}>
            {line}
          </text>
        ))
      ) : (
        <>
          <text x="11" y="35" fontSize="13" fontWeight="600">
            {middle(node.entity.name, chars)}
          </text>
          <text className="sub" x="11" y="52">
            {lines(sub, small, 1)[0]}
          </text>
        </>
      )}
    </g>
  );
}

export function Chain({ incident, onPick }: { incident: Incident; onPick: (key: string) => void }) {
  const { ref, width } = useElementSize();
  const base = width > 0 && width < 620 ? vertical : horizontal;
  const layout = useMemo(() => {
    const causes = incident.causes ?? [];
    let o = base;
    let l = layoutChain(causes, incident.links ?? [], o);
    // Too wide by a little: closer layers rather than a scroll bar.
    if (!o.vertical && width > 0 && l.width > width) {
      o = { ...o, nodeW: 152, gapLayer: Math.max(44, Math.floor((width - 4 - l.layers * 152) / Math.max(1, l.layers - 1))) };
      l = layoutChain(causes, incident.links ?? [], o);
    }
    if (o.vertical && width > 0 && l.width > width) {
      o = { ...o, nodeW: Math.max(112, Math.floor((width - 2 + o.gapNode) / 2) - o.gapNode) };
      l = layoutChain(causes, incident.links ?? [], o);
    }
    return { ...l, o };
  }, [incident, base, width]);
  const first = Math.min(...(incident.causes ?? []).map((c) => c.onset_unix_ms).filter((t) => t > 0));
  return (
    <div className="chainbox">
      <div ref={ref} style={{ minHeight: layout.nodes.length ? layout.height : 0 }}>
        {layout.nodes.length === 0 ? (
          <div className="empty">No cause stands out yet. The evidence below is what deviates.</div>
        ) : width > 0 ? (
          <svg className="chain" width={layout.width + 2} height={layout.height + 2} viewBox={`-1 -1 ${layout.width + 2} ${layout.height + 2}`} role="group" aria-label="Cause chain from root to users">
            <defs>
              <marker id="norn-arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
                <path d="M0 0 8 4 0 8Z" fill="var(--dim)" />
              </marker>
            </defs>
            {layout.edges.map((e) => (
              <Edge key={`${e.from.key}>${e.to.key}`} edge={e} o={layout.o} />
            ))}
            {layout.nodes.map((n) => (
              <Node key={n.key} node={n} o={layout.o} incident={incident} first={first} onPick={onPick} />
            ))}
          </svg>
        ) : null}
      </div>
      {layout.hidden > 0 ? <div className="dim" style={{ marginTop: 8 }}>and {layout.hidden} more entities, listed under evidence</div> : null}
    </div>
  );
}
