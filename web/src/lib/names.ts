// What a series measures, and which of several alike it is, in words.

export interface SeriesName {
  what: string; // "latency"
  which: string; // "p95", "GET /orders 200"; empty when there is only one
}

/** Norn's own series, made from spans and logs. */
const own: Record<string, string> = {
  norn_request_rate: "request rate",
  norn_error_ratio: "share of errors",
  norn_latency_seconds: "latency",
  norn_latency_mean_seconds: "mean latency",
  norn_self_time_seconds: "own time",
  norn_self_time_mean_seconds: "mean own time",
  norn_edge_request_rate: "calls",
  norn_edge_error_ratio: "share of failed calls",
  norn_edge_latency_seconds: "latency of calls",
  norn_edge_latency_mean_seconds: "mean latency of calls",
  norn_edge_gap_seconds: "time on the network",
  norn_operation_request_rate: "request rate",
  norn_operation_error_ratio: "share of errors",
  norn_operation_latency_seconds: "latency",
  norn_log_rate: "log lines",
  norn_log_template_rate: "lines of log pattern",
};

/** Labels that say whose series it is, which is shown beside the name. */
const identity =
  /^(__name__|entity|peer|job|instance|le|service_.*|host_name|deployment_environment.*|db_.*|k8s_.*|container_.*|cloud_.*|faas_.*|messaging_destination_name|otel_scope_.*)$/;

const percentile = (q: string) => `p${String(Number((Number(q) * 100).toFixed(3)))}`;

export function seriesName(name: string, labels: Record<string, string>): SeriesName {
  const which: string[] = [];
  for (const [k, v] of Object.entries(labels).sort(([a], [b]) => a.localeCompare(b))) {
    if (identity.test(k) || v === "") continue;
    if (k === "quantile") which.unshift(percentile(v));
    else if (k === "template") which.push(`#${v.slice(-5)}`);
    else which.push(v);
  }
  return { what: own[name] ?? name, which: which.join(" ") };
}

/** The labels of the first selector in a PromQL expression. */
export function labelsOf(expr: string): Record<string, string> {
  const selector = /\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}/.exec(expr)?.[1] ?? "";
  const out: Record<string, string> = {};
  for (const m of selector.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) out[m[1]!] = m[2]!.replace(/\\(.)/g, "$1");
  return out;
}
