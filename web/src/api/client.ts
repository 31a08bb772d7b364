// A typed fetch over the generated OpenAPI types. Paths, parameters and
// answers are checked by the compiler; nothing is typed by hand.

import type { Fault } from "../lib/detection";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Incident = Schemas["Incident"];
export type Summary = Schemas["Summary"];
export type Cause = Schemas["Cause"];
export type Evidence = Schemas["Evidence"];
export type Anomaly = Schemas["Anomaly"];
export type Service = Schemas["Service"];
export type Status = Schemas["Status"];
export type SeriesData = Schemas["SeriesData"];
export type Series = Schemas["Series"];
export type Change = Schemas["Change"];
export type TimelineEvent = Schemas["Event"];
export type StreamEvent = Schemas["StreamEvent"];
export type Entity = Schemas["Entity"];
export type LogLine = Schemas["LogLine"];
export type Pattern = Schemas["Pattern"];
export type Span = Schemas["Span"];

type WithMethod<M extends string> = { [P in keyof paths]: paths[P] extends { [K in M]: object } ? P : never }[keyof paths];
type Op<P extends keyof paths, M extends "get" | "post" | "put"> = paths[P] extends { [K in M]: infer O } ? O : never;
type Params<O, K extends string> = O extends { parameters: { [k in K]?: infer Q } } ? Q : never;
type JSONOf<O> = O extends { responses: { 200: { content: { "application/json": infer B } } } } ? B : undefined;
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } } ? B : undefined;

/** An answer that is not 2xx; message is the problem's detail. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Which fields are at fault, without "body." in front. */
    readonly faults: Fault[] = [],
  ) {
    super(message);
  }
}

function url(path: string, params: { path?: Record<string, unknown>; query?: Record<string, unknown> }): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, k: string) => encodeURIComponent(String(params.path?.[k])));
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params.query ?? {})) if (v !== undefined && v !== "") q.set(k, String(v));
  const s = q.toString();
  return s ? `${filled}?${s}` : filled;
}

async function send(input: string, init: RequestInit): Promise<unknown> {
  let resp: Response;
  try {
    resp = await fetch(input, { ...init, headers: { Accept: "application/json", ...init.headers } });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new ApiError(0, "Norn does not answer. Is it running, and is the network up?");
  }
  if (resp.status === 204) return undefined;
  const body: unknown = await resp.json().catch(() => undefined);
  if (!resp.ok) {
    const p = body as { detail?: string; title?: string; errors?: { message?: string; location?: string }[] } | undefined;
    const faults = (p?.errors ?? []).map((x) => ({ path: (x.location ?? "").replace(/^body\.?/, ""), message: x.message ?? "" }));
    // Some details list the faults already.
    const more = faults.filter((f) => !p?.detail?.includes(f.message)).map((f) => [f.path, f.message].filter(Boolean).join(": ")).join("; ");
    throw new ApiError(resp.status, [p?.detail ?? p?.title ?? `HTTP ${resp.status}`, more].filter(Boolean).join(": "), faults);
  }
  return body;
}

export async function get<P extends WithMethod<"get">>(
  path: P,
  params: { path?: Params<Op<P, "get">, "path">; query?: Params<Op<P, "get">, "query"> } = {},
  signal?: AbortSignal,
): Promise<JSONOf<Op<P, "get">>> {
  const u = url(path, params as { path?: Record<string, unknown>; query?: Record<string, unknown> });
  return (await send(u, { signal: signal ?? null })) as JSONOf<Op<P, "get">>;
}

export async function put<P extends WithMethod<"put">>(path: P, params: { body: Body<Op<P, "put">> }): Promise<JSONOf<Op<P, "put">>> {
  return (await send(path, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(params.body),
  })) as JSONOf<Op<P, "put">>;
}

export async function post<P extends WithMethod<"post">>(
  path: P,
  params: { path?: Params<Op<P, "post">, "path">; body?: Body<Op<P, "post">> },
): Promise<JSONOf<Op<P, "post">>> {
  const u = url(path, params as { path?: Record<string, unknown> });
  return (await send(u, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(params.body ?? {}),
  })) as JSONOf<Op<P, "post">>;
}
