import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { ErrorNotice, Loading, NotFound } from "./components/bits";
import { Shell } from "./components/Shell";
import { IncidentsPage } from "./pages/IncidentsPage";
import { NowPage } from "./pages/NowPage";
import { readSpan, type SpanSearch } from "./state/span";

const text = (v: unknown): string | undefined => (typeof v === "string" && v !== "" ? v : typeof v === "number" ? String(v) : undefined);

const exploreTabs = ["logs", "patterns", "changed", "traces", "trace"] as const;
export type ExploreTab = (typeof exploreTabs)[number];

export interface ExploreSearch extends SpanSearch {
  tab?: ExploreTab | undefined;
  q?: string | undefined;
  entity?: string | undefined;
  signal?: string | undefined;
  series?: string | undefined;
  expr?: string | undefined;
  query?: string | undefined;
  trace?: string | undefined;
  service?: string | undefined;
  slower?: string | undefined; // milliseconds
  failed?: string | undefined; // "1"
  line?: string | undefined; // the line that is open, by lineKey
  tail?: string | undefined; // "1": new lines are shown as they come
  pattern?: string | undefined; // id of the pattern that is open
  bfrom?: string | undefined; // the range that patterns and changes are compared with
  bto?: string | undefined;
  op?: string | undefined; // operation
}

export interface IncidentsSearch {
  state?: string | undefined;
  q?: string | undefined;
}

export interface DetectionSearch {
  tab?: "slos" | "mutes" | "held" | "metrics" | "general" | "plugins" | undefined;
  edit?: string | undefined; // name of what is edited, "+" for a new one
  match?: string | undefined; // what a new one begins with
  name?: string | undefined;
  sensitivity?: string | undefined;
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: ({ error }) => <ErrorNotice what="this page" error={error instanceof Error ? error : new Error(String(error))} retry={() => location.reload()} /> });

const now = createRoute({ getParentRoute: () => root, path: "/", component: NowPage });

const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  component: IncidentsPage,
  validateSearch: (s: Record<string, unknown>): IncidentsSearch => ({ state: text(s["state"]), q: text(s["q"]) }),
});

const incident = createRoute({
  getParentRoute: () => root,
  path: "/incidents/$id",
  component: lazyRouteComponent(() => import("./pages/IncidentPage"), "IncidentPage"),
  validateSearch: (s: Record<string, unknown>): SpanSearch => readSpan(s),
});

const backtest = createRoute({
  getParentRoute: () => root,
  path: "/backtest",
  component: lazyRouteComponent(() => import("./pages/BacktestPage"), "BacktestPage"),
  validateSearch: (s: Record<string, unknown>): { id?: string | undefined; draft?: string | undefined } => ({ id: text(s["id"]), draft: text(s["draft"]) }),
});

const detection = createRoute({
  getParentRoute: () => root,
  path: "/detection",
  component: lazyRouteComponent(() => import("./pages/DetectionPage"), "DetectionPage"),
  validateSearch: (s: Record<string, unknown>): DetectionSearch => {
    const tab = s["tab"];
    return {
      tab: tab === "slos" || tab === "mutes" || tab === "held" || tab === "metrics" || tab === "general" || tab === "plugins" ? tab : undefined,
      edit: text(s["edit"]), match: text(s["match"]), name: text(s["name"]), sensitivity: text(s["sensitivity"]),
    };
  },
});

const report = createRoute({
  getParentRoute: () => root,
  path: "/report",
  component: lazyRouteComponent(() => import("./pages/ReportPage"), "ReportPage"),
  validateSearch: (s: Record<string, unknown>): { from?: string | undefined; by?: "service" | "team" | "kind" | "cause" | undefined } => {
    const by = s["by"];
    return { from: text(s["from"]), by: by === "service" || by === "team" || by === "kind" || by === "cause" ? by : undefined };
  },
});

const explore = createRoute({
  getParentRoute: () => root,
  path: "/explore",
  component: lazyRouteComponent(() => import("./pages/ExplorePage"), "ExplorePage"),
  validateSearch: (s: Record<string, unknown>): ExploreSearch => {
    const tab = s["tab"];
    const base = readSpan({ from: s["bfrom"], to: s["bto"] });
    return {
      ...readSpan(s),
      tab: exploreTabs.find((x) => x === tab),
      q: text(s["q"]), entity: text(s["entity"]), signal: text(s["signal"]), series: text(s["series"]), expr: text(s["expr"]),
      query: text(s["query"]), trace: text(s["trace"]), service: text(s["service"]), slower: text(s["slower"]), failed: text(s["failed"]),
      line: text(s["line"]), tail: text(s["tail"]), pattern: text(s["pattern"]), bfrom: base.from, bto: base.to, op: text(s["op"]),
    };
  },
});

/** Search values stay plain text in the URL, so that people can read and edit them. */
function parseSearch(s: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(s));
}

function stringifySearch(o: Record<string, unknown>): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(o)) if (v !== undefined && v !== "") p.set(k, String(v));
  const s = p.toString();
  return s ? `?${s}` : "";
}

export const router = createRouter({
  routeTree: root.addChildren([now, incidents, incident, detection, backtest, explore, report]),
  defaultPendingComponent: () => <Loading lines={4} height={80} />,
  scrollRestoration: true,
  parseSearch,
  stringifySearch,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
