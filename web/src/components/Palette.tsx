// Ctrl-K: pages, incidents, services and series in one list.

import { Modal } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type KeyboardEvent, type ReactNode } from "react";
import { incidentsQuery, seriesListQuery, servicesQuery } from "../api/queries";
import type { Series } from "../api/client";
import { seriesName } from "../lib/names";
import { useNow } from "../state/clock";
import { Ago, cellTone, EntityName, Glyph, stateTone } from "./bits";

interface Item {
  key: string;
  group: string;
  text: string; // what is searched
  show: ReactNode;
  go: () => void;
}

const matches = (text: string, q: string) => {
  const t = text.toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((w) => t.includes(w));
};

function SeriesItem({ s }: { s: Series }) {
  const n = seriesName(s.name, s.labels);
  return (
    <>
      <Glyph tone={s.anomaly_id ? "bad" : "good"} />
      <span className="ellipsis">
        {n.what} <span className="dim">{n.which}</span>
      </span>
      <span className="faint ellipsis">
        {s.instance.name || s.entity.name}
        {s.peer.name ? ` → ${s.peer.name}` : ""}
      </span>
    </>
  );
}

function usePaletteItems(q: string, toggleTheme: () => void, showHelp: () => void): Item[] {
  const navigate = useNavigate();
  const now = useNow(30_000);
  const incidents = useQuery(incidentsQuery("", "rank", 100)).data?.incidents ?? [];
  const services = useQuery(servicesQuery).data?.services ?? [];
  const [slow] = useDebouncedValue(q.trim(), 150);
  const found = useQuery({ ...seriesListQuery(slow, "", "", 12), enabled: slow.length > 1 }).data?.series ?? [];
  const pages: [string, string, () => void][] = [
    ["Now", "open incidents and health", () => void navigate({ to: "/" })],
    ["Incidents", "history of all incidents", () => void navigate({ to: "/incidents", search: {} })],
    ["Explore metrics", "any series with its band", () => void navigate({ to: "/explore", search: {} })],
    ["Explore logs", "search log lines", () => void navigate({ to: "/explore", search: { tab: "logs" } })],
    ["Explore traces", "find spans by service and length", () => void navigate({ to: "/explore", search: { tab: "traces" } })],
    ["Log patterns", "what changed in the logs", () => void navigate({ to: "/explore", search: { tab: "patterns" } })],
    ["What changed", "across metrics and logs in a window", () => void navigate({ to: "/explore", search: { tab: "changed" } })],
    ["Switch theme", "dark, light, system", toggleTheme],
    ["Rules of detection", "weight, direction, sensitivity of series", () => void navigate({ to: "/detection", search: {} })],
    ["Mutes", "keep known trouble from being raised", () => void navigate({ to: "/detection", search: { tab: "mutes" } })],
    ["Held back", "what nobody was told, and why", () => void navigate({ to: "/detection", search: { tab: "held" } })],
    ["Custom metrics", "PromQL and LogsQL that become series", () => void navigate({ to: "/detection", search: { tab: "metrics" } })],
    ["Calendar and sensitivity", "time zone, holidays, false alarms", () => void navigate({ to: "/detection", search: { tab: "general" } })],
    ["Plugins", "detectors of your own", () => void navigate({ to: "/detection", search: { tab: "plugins" } })],
    ["Report", "how operations fare: times, trends, where effort pays", () => void navigate({ to: "/report", search: {} })],
    ["Backtest", "try a change of detection on stored history", () => void navigate({ to: "/backtest", search: {} })],
    ["Keyboard shortcuts", "help", showHelp],
  ];
  const items: Item[] = pages.map(([name, hint, go]) => ({
    key: `p:${name}`, group: "Pages and commands", text: `${name} ${hint}`, go,
    show: <><span>{name}</span><span className="faint ellipsis">{hint}</span></>,
  }));
  for (const i of incidents)
    items.push({
      key: `i:${i.id}`, group: "Incidents", text: `${i.title} ${i.root.name} ${i.state} ${i.id}`, go: () => void navigate({ to: "/incidents/$id", params: { id: i.id }, search: {} }),
      show: <><Glyph tone={stateTone[i.state] ?? "dim"} /><span className="ellipsis grow">{i.title}</span><span className="faint"><Ago at={i.onset_unix_ms} now={now} /></span></>,
    });
  for (const s of services)
    items.push({
      key: `s:${s.entity.kind}/${s.entity.name}`, group: "Services", text: `${s.entity.kind} ${s.entity.name} ${s.state}`,
      go: () => void navigate({ to: "/explore", search: { entity: `${s.entity.kind}/${s.entity.name}` } }),
      show: <><Glyph tone={cellTone[s.state]} /><EntityName entity={s.entity} /><span className="faint">{s.state}</span></>,
    });
  const hits = items.filter((i) => matches(i.text, q));
  if (slow.length > 1)
    for (const s of found)
      hits.push({
        key: `m:${s.id}`, group: "Series", text: s.name, go: () => void navigate({ to: "/explore", search: { series: s.id, q: slow } }),
        show: <SeriesItem s={s} />,
      });
  const cap: Record<string, number> = q ? { "Pages and commands": 4, Incidents: 6, Services: 8 } : { Incidents: 5, Services: 5 };
  const count: Record<string, number> = {};
  return hits.filter((i) => (count[i.group] = (count[i.group] ?? 0) + 1) <= (cap[i.group] ?? 12));
}

interface PaletteProps {
  opened: boolean;
  onClose: () => void;
  toggleTheme: () => void;
  showHelp: () => void;
}

function PaletteBody({ onClose, toggleTheme, showHelp }: PaletteProps) {
  const [q, setQ] = useState("");
  const [at, setAt] = useState(0);
  const items = usePaletteItems(q, toggleTheme, showHelp);
  const active = Math.min(at, items.length - 1);
  const run = (i: number) => {
    const item = items[i];
    if (!item) return;
    onClose();
    item.go();
  };
  const move = (d: number) => {
    setAt((active + d + items.length) % Math.max(1, items.length));
    requestAnimationFrame(() => document.querySelector(".palette-item[aria-selected=true]")?.scrollIntoView({ block: "nearest" }));
  };
  const onKey = (e: KeyboardEvent) => {
    const d = e.key === "ArrowDown" || (e.ctrlKey && e.key === "n") ? 1 : e.key === "ArrowUp" || (e.ctrlKey && e.key === "p") ? -1 : 0;
    if (d !== 0) {
      e.preventDefault();
      move(d);
    } else if (e.key === "Enter") {
      e.preventDefault();
      run(active);
    }
  };
  return (
    <>
      <input
        className="palette-input" placeholder="Go to a page, incident, service or series" value={q} autoFocus data-autofocus onKeyDown={onKey}
        onChange={(e) => {
          setQ(e.target.value);
          setAt(0);
        }}
        role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={items[active] ? `pal-${active}` : undefined} aria-label="Search everything"
      />
      <div className="palette-list" id="palette-list" role="listbox" aria-label="Results">
        {items.length === 0 ? <div className="empty">Nothing matches “{q}”</div> : null}
        {items.map((item, i) => (
          <div key={item.key}>
            {items[i - 1]?.group !== item.group ? <div className="palette-group">{item.group}</div> : null}
            <div className="palette-item" id={`pal-${i}`} role="option" aria-selected={i === active} onMouseMove={() => setAt(i)} onClick={() => run(i)}>
              {item.show}
            </div>
          </div>
        ))}
      </div>
    </>
  );
}

export default function Palette(p: PaletteProps) {
  return (
    <Modal opened={p.opened} onClose={p.onClose} withCloseButton={false} padding={0} size={620} yOffset="12vh" transitionProps={{ duration: 90 }} aria-label="Command palette">
      <PaletteBody {...p} />
    </Modal>
  );
}
