// Every read of the console: its key, its call, and how long it stays fresh.

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { filterOf, splitPipes } from "../lib/logs";
import { get, type LogLine } from "./client";

export interface Span {
  from: string;
  to: string;
}

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: ({ signal }) => get("/api/v1/status", {}, signal),
  refetchInterval: 15_000,
});

export const servicesQuery = queryOptions({
  queryKey: ["services"],
  queryFn: ({ signal }) => get("/api/v1/services", {}, signal),
  refetchInterval: 15_000,
});

export const incidentsQuery = (state: string, sort: "onset" | "rank", limit = 200) =>
  queryOptions({
    queryKey: ["incidents", state, sort, limit],
    queryFn: ({ signal }) => get("/api/v1/incidents", { query: { state, sort, limit } }, signal),
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });

export const incidentQuery = (id: string) =>
  queryOptions({
    queryKey: ["incident", id],
    queryFn: ({ signal }) => get("/api/v1/incidents/{id}", { path: { id } }, signal),
    refetchInterval: 30_000,
  });

export const whyQuery = (id: string, anomaly: string) =>
  queryOptions({
    queryKey: ["why", id, anomaly],
    queryFn: ({ signal }) => get("/api/v1/incidents/{id}/why", { path: { id }, query: { anomaly } }, signal),
    retry: false,
  });

export const seriesListQuery = (q: string, entity: string, signalName: string, limit = 50) =>
  queryOptions({
    queryKey: ["series", q, entity, signalName, limit],
    queryFn: ({ signal }) => get("/api/v1/series", { query: { q, entity, signal: signalName, limit } }, signal),
    placeholderData: keepPreviousData,
  });

export const seriesQuery = (id: string) =>
  queryOptions({
    queryKey: ["series-detail", id],
    queryFn: ({ signal }) => get("/api/v1/series/{id}", { path: { id } }, signal),
    retry: false,
    refetchInterval: 15_000,
  });

const isLive = (to: string) => to === "" || to === "now";

export const seriesDataQuery = (id: string, span: Span, points: number) =>
  queryOptions({
    queryKey: ["series-data", id, span.from, span.to, points],
    queryFn: ({ signal }) => get("/api/v1/series/{id}/data", { path: { id }, query: { ...span, points } }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isLive(span.to) ? 10_000 : false,
    retry: false,
  });

export const exprQuery = (expr: string, series: string, span: Span, points: number) =>
  queryOptions({
    queryKey: ["expr", expr, series, span.from, span.to, points],
    queryFn: ({ signal }) => get("/api/v1/query", { query: { expr, series, ...span, points } }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isLive(span.to) ? 10_000 : false,
    retry: false,
  });

export const changesQuery = (span: Span) =>
  queryOptions({
    queryKey: ["changes", span.from, span.to],
    queryFn: ({ signal }) => get("/api/v1/changes", { query: { ...span } }, signal),
    placeholderData: keepPreviousData,
  });

/** Lines of a page; the API's most is 2000. */
const logPage = 1000;

/** The last lines' millisecond may have more lines than came: the next page begins with all of it. */
function cut(lines: LogLine[], more: boolean): { lines: LogLine[]; next: number | undefined } {
  const last = Date.parse(lines.at(-1)?.time ?? "");
  if (!more || Number.isNaN(last)) return { lines, next: undefined };
  const whole = lines.filter((l) => Date.parse(l.time) !== last);
  return whole.length ? { lines: whole, next: last } : { lines, next: last - 1 };
}

/** Lines newest first, page by page. A query with pipes has one page. */
export const logPagesQuery = (query: string, span: Span) =>
  infiniteQueryOptions({
    queryKey: ["log-pages", query, span.from, span.to],
    queryFn: async ({ signal, pageParam }) => {
      const r = await get("/api/v1/logs", { query: { query, from: span.from, to: pageParam === 0 ? span.to : String(pageParam), limit: logPage } }, signal);
      return splitPipes(query)[1] ? { lines: r.lines, next: undefined, more: r.more } : { ...cut(r.lines, r.more), more: r.more };
    },
    initialPageParam: 0,
    getNextPageParam: (page) => page.next,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    gcTime: 60_000,
  });

/** Lines around a line: up to n older ones (newest first) and n newer ones (oldest first), it among both. */
export const contextQuery = (query: string, at: number, n: number) =>
  queryOptions({
    queryKey: ["log-context", query, at, n],
    queryFn: async ({ signal }) => {
      const hour = 3_600_000;
      const [older, newer] = await Promise.all([
        get("/api/v1/logs", { query: { query, from: String(at - 24 * hour), to: String(at), limit: n } }, signal),
        get("/api/v1/logs", { query: { query: `${query} | sort by (_time) limit ${n}`, from: String(at), to: String(at + 24 * hour), limit: n } }, signal),
      ]);
      return { older: older.lines, newer: newer.lines };
    },
    retry: false,
    staleTime: 60_000,
  });

export const histogramQuery = (query: string, span: Span, step: number) =>
  queryOptions({
    queryKey: ["log-histogram", query, span.from, span.to, step],
    queryFn: async ({ signal }) => {
      const r = await get("/api/v1/logs", { query: { query: `${filterOf(query)} | stats by (_time:${step}s, severity) count() n`, ...span, limit: 2000 } }, signal);
      return r.lines.map((l) => ({ at: Date.parse(l.time), severity: l.severity, n: Number(l.fields["n"] ?? 0) }));
    },
    placeholderData: keepPreviousData,
    refetchInterval: isLive(span.to) ? 15_000 : false,
    retry: false,
  });

export interface Facet {
  field: string;
  values: { value: string; n: number }[];
}

/** The commonest values of every field; fields with hundreds of values (ids, texts) are left out. */
export const facetsQuery = (query: string, span: Span) =>
  queryOptions({
    queryKey: ["log-facets", query, span.from, span.to],
    queryFn: async ({ signal }) => {
      const r = await get("/api/v1/logs", { query: { query: `${filterOf(query)} | facets 10 max_values_per_field 500 keep_const_fields`, ...span, limit: 2000 } }, signal);
      const found = new Map<string, Facet>();
      for (const { fields: f } of r.lines) {
        const field = f["field_name"] ?? "";
        const facet = found.get(field) ?? { field, values: [] };
        facet.values.push({ value: f["field_value"] ?? "", n: Number(f["hits"] ?? 0) });
        found.set(field, facet);
      }
      return [...found.values()];
    },
    placeholderData: keepPreviousData,
    retry: false,
  });

export const patternsQuery = (entity: string, span: Span) =>
  queryOptions({
    queryKey: ["patterns", entity, span.from, span.to],
    queryFn: ({ signal }) => get("/api/v1/logs/patterns", { query: { entity, ...span } }, signal),
    placeholderData: keepPreviousData,
  });

export interface TraceSearch {
  service?: string | undefined;
  operation?: string | undefined;
  min_duration_seconds?: number | undefined;
  only_errors?: boolean | undefined;
  limit: number;
}

export const tracesQuery = (search: TraceSearch, span: Span) =>
  queryOptions({
    queryKey: ["traces", search, span.from, span.to],
    queryFn: ({ signal }) => get("/api/v1/traces", { query: { ...search, ...span } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });

export const traceQuery = (id: string) =>
  queryOptions({
    queryKey: ["trace", id],
    queryFn: ({ signal }) => get("/api/v1/traces/{id}", { path: { id } }, signal),
    retry: false,
  });

export const backtestsQuery = queryOptions({
  queryKey: ["backtests"],
  queryFn: ({ signal }) => get("/api/v1/backtests", {}, signal),
  refetchInterval: 30_000,
});

export const backtestQuery = (id: string) =>
  queryOptions({
    queryKey: ["backtest", id],
    queryFn: ({ signal }) => get("/api/v1/backtests/{id}", { path: { id } }, signal),
    refetchInterval: (q) => (q.state.data?.state === "running" ? 1000 : false),
    enabled: id !== "",
    retry: false,
  });

export const graphQuery = queryOptions({
  queryKey: ["graph"],
  queryFn: ({ signal }) => get("/api/v1/graph", {}, signal),
  refetchInterval: 30_000,
});

export const detectionQuery = queryOptions({
  queryKey: ["detection"],
  queryFn: ({ signal }) => get("/api/v1/detection", {}, signal),
  refetchInterval: 15_000,
});

export const mutedQuery = queryOptions({
  queryKey: ["muted"],
  queryFn: ({ signal }) => get("/api/v1/detection/muted", { query: { limit: 500 } }, signal),
  refetchInterval: 15_000,
});

export const suppressedQuery = queryOptions({
  queryKey: ["suppressed"],
  queryFn: ({ signal }) => get("/api/v1/suppressed", { query: { limit: 500 } }, signal),
  refetchInterval: 15_000,
});

export const sloQuery = queryOptions({
  queryKey: ["slos"],
  queryFn: ({ signal }) => get("/api/v1/slos", {}, signal),
  refetchInterval: 15_000,
});
