import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { detectionQuery } from "../api/queries";
import { ErrorNotice, Loading, Stale } from "../components/bits";
import type { DetectionSearch } from "../router";
import { useNow } from "../state/clock";
import { General, Plugins } from "./detection/General";
import { Held } from "./detection/Held";
import { Metrics } from "./detection/Metrics";
import { Mutes } from "./detection/Mutes";
import { Objectives } from "./detection/Objectives";
import { Rules } from "./detection/Rules";

const tabs: [DetectionSearch["tab"], string][] = [[undefined, "Rules"], ["mutes", "Mutes"], ["held", "Held back"], ["slos", "Objectives"], ["metrics", "Custom metrics"], ["general", "Calendar"], ["plugins", "Plugins"]];

/** The parts of detection that a person looks after, and where their changes are tried. */
export function DetectionTabs({ tab, backtest = false }: { tab?: DetectionSearch["tab"]; backtest?: boolean }) {
  useEffect(() => {
    document.querySelector(".tabs [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [tab, backtest]);
  return (
    <nav className="tabs" aria-label="Detection">
      {tabs.map(([id, name]) => (
        <Link key={name} to="/detection" search={{ tab: id }} aria-current={!backtest && id === tab ? "page" : undefined} activeProps={{}} activeOptions={{ exact: true, includeSearch: true }}>
          {name}
        </Link>
      ))}
      <Link to="/backtest" search={{}} aria-current={backtest ? "page" : undefined}>
        Backtest
      </Link>
    </nav>
  );
}

export function DetectionPage() {
  const s = useSearch({ from: "/detection" });
  const navigate = useNavigate();
  const now = useNow();
  const q = useQuery(detectionQuery);
  const title = tabs.find(([id]) => id === s.tab)?.[1] ?? "Rules";
  useEffect(() => {
    document.title = `${title} · Norn`;
  }, [title]);
  const open = (edit: string | undefined) => void navigate({ to: "/detection", search: { tab: s.tab, edit }, replace: true, resetScroll: false });
  return (
    <div className="page">
      <div className="pagehead">
        <h1 className="sr-only">Detection: {title}</h1>
        <DetectionTabs tab={s.tab} />
      </div>
      <Stale what="the settings of detection" error={q.data ? q.error : null} at={q.dataUpdatedAt} now={now} />
      {s.tab === "held" ? (
        <Held now={now} />
      ) : s.tab === "slos" ? (
        <Objectives />
      ) : q.isPending ? (
        <Loading lines={3} height={70} />
      ) : !q.data ? (
        <ErrorNotice what="the settings of detection" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />
      ) : s.tab === "mutes" ? (
        <Mutes s={q.data} edit={s.edit} preset={{ ...(s.match ? { match: s.match } : {}), ...(s.name ? { name: s.name } : {}) }} open={open} now={now} />
      ) : s.tab === "metrics" ? (
        <Metrics s={q.data} edit={s.edit} open={open} now={now} />
      ) : s.tab === "general" ? (
        <General s={q.data} />
      ) : s.tab === "plugins" ? (
        <Plugins s={q.data} />
      ) : (
        <Rules s={q.data} edit={s.edit} preset={{ ...(s.match ? { match: s.match } : {}), ...(s.name ? { name: s.name } : {}), ...(s.sensitivity ? { sensitivity: s.sensitivity } : {}) }} open={open} />
      )}
    </div>
  );
}
