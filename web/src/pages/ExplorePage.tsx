import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { WindowBar } from "../components/WindowBar";
import { SpanPicker } from "../components/SpanPicker";
import type { ExploreSearch } from "../router";
import { useNow } from "../state/clock";
import { resolve } from "../state/span";
import { Changed } from "./explore/Changed";
import { Logs } from "./explore/Logs";
import { Metrics } from "./explore/Metrics";
import { Patterns } from "./explore/Patterns";
import type { TabProps } from "./explore/tab";
import { Trace } from "./explore/Trace";
import { Traces } from "./explore/Traces";

type Tab = [ExploreSearch["tab"], string];

const usual: Tab[] = [[undefined, "Metrics"], ["logs", "Logs"], ["patterns", "Log patterns"], ["changed", "What changed"], ["traces", "Traces"]];

function Body(p: TabProps) {
  switch (p.s.tab) {
    case "logs":
      return <Logs {...p} />;
    case "patterns":
      return <Patterns {...p} />;
    case "changed":
      return <Changed {...p} />;
    case "traces":
      return <Traces {...p} />;
    case "trace":
      return <Trace id={p.s.trace ?? ""} now={p.now} />;
    default:
      return <Metrics {...p} />;
  }
}

export function ExplorePage() {
  const s = useSearch({ from: "/explore" });
  const navigate = useNavigate();
  const now = useNow();
  const go = (next: ExploreSearch) => void navigate({ to: "/explore", search: next, replace: true, resetScroll: false });
  const span = { from: s.from ?? "-1h", to: s.to ?? "now" };
  const tabs: Tab[] = s.trace ? [...usual, ["trace", "Trace"]] : usual;
  const title = tabs.find(([tab]) => tab === s.tab)?.[1] ?? "Explore";
  useEffect(() => {
    document.title = `${title} · Norn`;
    document.querySelector(".tabs [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [title]);
  return (
    <div className="page">
      <div className="pagehead">
        <h1 className="sr-only">Explore: {title}</h1>
        <nav className="tabs" aria-label="What to explore">
          {tabs.map(([tab, name]) => (
            // Exact, with the search: the tabs differ in nothing else.
            <Link key={name} to="/explore" search={{ ...s, tab }} activeOptions={{ exact: true, includeSearch: true }}>
              {name}
            </Link>
          ))}
        </nav>
        {s.tab === "trace" ? null : <SpanPicker span={s} fallback="-1h" onChange={(r) => go({ ...s, ...r, bfrom: undefined, bto: undefined, tail: undefined })} />}
      </div>
      {/^\d+$/.test(s.from ?? "") && s.tab !== "changed" && s.tab !== "trace" ? (
        <WindowBar from={resolve(span.from, now)} to={resolve(span.to, now)} now={now} entity={s.entity} back={() => go({ ...s, from: undefined, to: undefined })} />
      ) : null}
      <Body s={s} go={go} span={span} now={now} />
    </div>
  );
}
