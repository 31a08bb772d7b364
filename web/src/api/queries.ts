// Every read of the console: its key, its call, and how long it stays fresh.

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
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

export const logsQuery = (query: string, span: Span, limit: number) =>
  queryOptions({
    queryKey: ["logs", query, span.from, span.to, limit],
    queryFn: ({ signal }) => get("/api/v1/logs", { query: { query, ...span, limit } }, signal),
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
