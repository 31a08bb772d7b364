// Every read of the console: its key, its call, and how long it stays fresh.

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { filterOf } from "../lib/logs";
import { get } from "./client";

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

export const remediesQuery = (id: string) =>
  queryOptions({
    queryKey: ["remedies", id],
    queryFn: ({ signal }) => get("/api/v1/incidents/{id}/remedies", { path: { id } }, signal),
    refetchInterval: 60_000,
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

const logPage = 1000;

/** Lines newest first, page by page. A query with pipes has one page. */
export const logPagesQuery = (query: string, span: Span) =>
  infiniteQueryOptions({
    queryKey: ["log-pages", query, span.from, span.to],
    queryFn: ({ signal, pageParam }) => get("/api/v1/logs", { query: { query, ...span, limit: logPage, after: pageParam } }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next || undefined,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    gcTime: 60_000,
  });

/** A line between its neighbours of the same instance, oldest first. */
export const contextQuery = (id: string, around: number) =>
  queryOptions({
    queryKey: ["log-context", id, around],
    queryFn: ({ signal }) => get("/api/v1/logs/context", { query: { id, before: around, after: around } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 60_000,
  });

export const histogramQuery = (query: string, span: Span, points: number) =>
  queryOptions({
    queryKey: ["log-histogram", query, span.from, span.to, points],
    queryFn: ({ signal }) => get("/api/v1/logs/histogram", { query: { query: filterOf(query), ...span, points } }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isLive(span.to) ? 15_000 : false,
    retry: false,
  });

/** The commonest values of every field that has not too many of them. */
export const facetsQuery = (query: string, span: Span) =>
  queryOptions({
    queryKey: ["log-facets", query, span.from, span.to],
    queryFn: ({ signal }) => get("/api/v1/logs/facets", { query: { query: filterOf(query), ...span, limit: 10 } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });

/** Where a browser fetches all matching lines as a file. */
export const exportURL = (query: string, span: Span, format: "ndjson" | "csv", fields: string[]) =>
  `/api/v1/logs/export?${new URLSearchParams({ query, ...span, format, ...(format === "csv" && fields.length ? { fields: fields.join(",") } : {}) })}`;

/** What is compared: the range, with another one or (by default) the time right before. */
export interface Against {
  against_from?: string | undefined;
  against_to?: string | undefined;
}

export const patternsQuery = (entity: string, span: Span, against: Against, limit = 200) =>
  queryOptions({
    queryKey: ["patterns", entity, span.from, span.to, against.against_from, against.against_to, limit],
    queryFn: ({ signal }) => get("/api/v1/logs/patterns", { query: { entity, ...span, ...against, limit } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });

/** How often patterns came over time: the ids that came most, the rest together. */
export const sparksQuery = (span: Span) =>
  queryOptions({
    queryKey: ["pattern-sparks", span.from, span.to],
    queryFn: async ({ signal }) => {
      const step = Math.max(1, Math.ceil((Number(span.to) - Number(span.from)) / 40_000));
      const r = await get("/api/v1/logs", { query: { query: `template:* | stats by (template, _time:${step}s) count() n`, ...span, limit: 2000 } }, signal);
      return { step, counts: r.lines.map((l) => ({ id: l.template ?? "", at: Date.parse(l.time), n: Number(l.fields["n"] ?? 0) })) };
    },
    placeholderData: keepPreviousData,
    retry: false,
  });

export const changedQuery = (entity: string, span: Span, against: Against, limit: number) =>
  queryOptions({
    queryKey: ["changed", entity, span.from, span.to, against.against_from, against.against_to, limit],
    queryFn: ({ signal }) => get("/api/v1/changed", { query: { entity, ...span, ...against, limit } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 60_000,
  });

export type OperationSort = "time" | "latency" | "errors" | "rate" | "slower";

export const operationsQuery = (entity: string, sort: OperationSort, span: Span) =>
  queryOptions({
    queryKey: ["operations", entity, sort, span.from, span.to],
    queryFn: ({ signal }) => get("/api/v1/operations", { query: { entity, sort, ...span, limit: 15 } }, signal),
    placeholderData: keepPreviousData,
    retry: false,
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

export type ReportBy = "service" | "team" | "kind" | "cause";

export const reportQuery = (from: string, by: ReportBy) =>
  queryOptions({
    queryKey: ["report", from, by],
    queryFn: ({ signal }) => get("/api/v1/report", { query: { from, by } }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
  });
