// The shared timeline: one lane an entity, bars where it deviates, changes on top.

import { useElementSize } from "@mantine/hooks";
import type { Incident } from "../api/client";
import { keyOf } from "../lib/chain";
import { useState, type PointerEvent } from "react";
import { clock, fullTime, middle } from "../lib/format";

const laneH = 22;
const top = 26;

interface Props {
  incident: Incident;
  from: number;
  to: number;
  now: number;
  onZoom: (from: number, to: number) => void; // after a drag
}

export function Lanes({ incident, from, to, now, onZoom }: Props) {
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const { ref, width } = useElementSize();
  const gutter = width < 520 ? 92 : 168;
  const x = (t: number) => gutter + ((Math.min(to, Math.max(from, t)) - from) / Math.max(1, to - from)) * Math.max(0, width - gutter - 8);
  const at = (e: PointerEvent) => Math.max(gutter, Math.min(width - 8, e.clientX - e.currentTarget.getBoundingClientRect().left));
  const time = (px: number) => Math.round(from + ((px - gutter) / Math.max(1, width - gutter - 8)) * (to - from));
  const end = () => {
    if (drag && Math.abs(drag[1] - drag[0]) >= 6) onZoom(time(Math.min(...drag)), time(Math.max(...drag)));
    setDrag(null);
  };
  const role = new Map((incident.causes ?? []).map((c) => [keyOf(c.entity), c.role]));
  const lanes = new Map<string, { name: string; kind: string; bars: [number, number, string][] }>();
  for (const c of incident.causes ?? []) if (c.role !== "bystander") lanes.set(keyOf(c.entity), { name: c.entity.name, kind: c.entity.kind, bars: [] });
  for (const a of incident.anomalies ?? []) {
    const key = keyOf(a.entity);
    if (!lanes.has(key)) lanes.set(key, { name: a.entity.name || a.source, kind: a.entity.kind, bars: [] });
    lanes.get(key)!.bars.push([a.onset_unix_ms, a.ended_unix_ms || (incident.resolved_unix_ms || Math.min(now, to)), `${a.series}: ${a.kind.replace("_", " ")}`]);
  }
  const rows = [...lanes].slice(0, 14);
  const h = top + rows.length * laneH + 18;
  const ticks = Array.from({ length: width < 520 ? 3 : 6 }, (_, i) => from + ((to - from) * i) / (width < 520 ? 2 : 5));
  const changes = (incident.changes ?? []).filter((c) => c.time_unix_ms >= from && c.time_unix_ms <= to);
  return (
    <div className="lanes">
      <div ref={ref} style={{ height: h }}>
        {width > 0 ? (
          <svg width={width} height={h} role="img" aria-label={`When each of ${rows.length} entities deviated`}
            style={{ display: "block", fontSize: 12, touchAction: "pan-y", cursor: "crosshair" }}
            onPointerDown={(e) => {
              if (e.button !== 0) return;
              e.currentTarget.setPointerCapture(e.pointerId);
              setDrag([at(e), at(e)]);
            }}
            onPointerMove={(e) => drag && setDrag([drag[0], at(e)])} onPointerUp={end} onPointerCancel={() => setDrag(null)}
          >
            {drag ? <rect x={Math.min(...drag)} width={Math.abs(drag[1] - drag[0])} y={top - 4} height={h - 14 - top} fill="var(--accent)" opacity="0.18" /> : null}
            {ticks.map((t, i) => (
              <g key={t}>
                <path d={`M${x(t)} ${top - 4}V${h - 18}`} stroke="var(--grid)" />
                <text x={x(t)} y={h - 4} fontSize="11" fill="var(--dim)" textAnchor={i === 0 ? "start" : i === ticks.length - 1 ? "end" : "middle"}>
                  {clock(t, t)}
                </text>
              </g>
            ))}
            {rows.map(([key, l], i) => {
              const r = role.get(key);
              const colour = r === "root" ? "var(--bad)" : r === "intermediate" ? "var(--warn)" : "var(--dim)";
              const y = top + i * laneH;
              return (
                <g key={key}>
                  <text x="0" y={y + 14} fill="var(--text)" fontWeight={r === "root" ? 650 : 450}>
                    <title>{`${l.kind} ${l.name}`}</title>
                    {middle(l.name, Math.floor((gutter - 10) / 6.9))}
                  </text>
                  <path d={`M${gutter} ${y + laneH - 1}H${width}`} stroke="var(--grid)" />
                  {l.bars.map(([a, b, text], j) => (
                    <rect key={j} x={x(a)} y={y + 6} width={Math.max(3, x(b) - x(a))} height={9} rx="2" fill={colour} opacity={r === "root" ? 0.85 : 0.6}>
                      <title>{`${text}\nfrom ${fullTime(a)}`}</title>
                    </rect>
                  ))}
                </g>
              );
            })}
            <path d={`M${x(incident.onset_unix_ms)} ${top - 10}V${h - 18}`} stroke="var(--bad)" strokeWidth="1.2" />
            {changes.map((c) => (
              <g key={c.id}>
                <title>{`${c.kind}: ${c.title}${c.actor ? ` by ${c.actor}` : ""}\n${fullTime(c.time_unix_ms)}`}</title>
                <path d={`M${x(c.time_unix_ms)} ${top - 8}V${h - 18}`} stroke="var(--accent)" strokeDasharray="4 3" strokeWidth="1.2" />
                <path d={`M${x(c.time_unix_ms) - 5} ${top - 14}h10l-5 7Z`} fill="var(--accent)" />
                <text
                  x={x(c.time_unix_ms) + (x(c.time_unix_ms) > width * 0.6 ? -8 : 8)} y={12} fill="var(--accent)" fontSize="11.5"
                  textAnchor={x(c.time_unix_ms) > width * 0.6 ? "end" : "start"}
                >
                  {middle(`${c.kind}: ${c.title}`, width < 520 ? 30 : 60)}
                </text>
              </g>
            ))}
          </svg>
        ) : null}
      </div>
    </div>
  );
}
