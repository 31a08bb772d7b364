// Small parts that every page uses.

import { Skeleton } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { CSSProperties, ReactNode } from "react";
import { ApiError, type Entity, type Service, type Summary } from "../api/client";
import { clock, duration, fullTime, NO_VALUE } from "../lib/format";

export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <g strokeWidth="2.8" strokeLinecap="round">
        <path d="M3 7c8 0 8 9 15 9" stroke="var(--accent)" />
        <path d="M3 16h15" stroke="var(--text)" />
        <path d="M3 25c8 0 8-9 15-9" stroke="var(--good)" />
      </g>
      <circle cx="24" cy="16" r="5" fill="var(--bad)" />
    </svg>
  );
}

export type Tone = "bad" | "warn" | "good" | "quiet" | "dim";

/** A shape for each tone, so that colour is never the only carrier. */
export function Glyph({ tone, size = 10 }: { tone: Tone; size?: number }) {
  const shapes: Record<Tone, ReactNode> = {
    bad: <rect x="1" y="1" width="8" height="8" rx="1.5" fill="currentColor" />,
    warn: <path d="M5 .8 9.6 9H.4Z" fill="currentColor" />,
    good: <path d="M1.2 5.4 4 8l4.8-6" stroke="currentColor" strokeWidth="1.7" fill="none" strokeLinecap="round" strokeLinejoin="round" />,
    quiet: <path d="M5 1a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0 0v0M2.2 2.2l5.6 5.6" stroke="currentColor" strokeWidth="1.4" fill="none" />,
    dim: <circle cx="5" cy="5" r="3.6" stroke="currentColor" strokeWidth="1.4" fill="none" strokeDasharray="2.2 1.8" />,
  };
  return (
    <svg className={`tone-${tone}`} width={size} height={size} viewBox="0 0 10 10" aria-hidden="true">
      {shapes[tone]}
    </svg>
  );
}

export function Mark({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`mark tone-${tone}`}>
      <Glyph tone={tone} />
      {children}
    </span>
  );
}

export const cellTone: Record<Service["state"], Tone> = { ok: "good", degraded: "warn", failing: "bad", silent: "quiet", unknown: "dim" };

export const stateTone: Record<Summary["state"], Tone> = {
  open: "bad",
  acknowledged: "warn",
  mitigating: "warn",
  resolved: "good",
  muted: "dim",
};

export function StateMark({ state }: { state: Summary["state"] }) {
  return <Mark tone={stateTone[state] ?? "dim"}>{state[0]!.toUpperCase() + state.slice(1)}</Mark>;
}

const kindWords: Record<string, string> = { database: "db", instance: "inst", external: "ext", function: "fn", application: "app" };

export function EntityName({ entity, kind = true }: { entity: Entity; kind?: boolean }) {
  if (!entity.name) return <span className="faint">no entity</span>;
  return (
    <span className="ent" title={`${entity.kind}/${entity.name}`}>
      {kind && entity.kind !== "service" ? <span className="kind">{kindWords[entity.kind] ?? entity.kind}</span> : null}
      <span className="name">{entity.name}</span>
    </span>
  );
}

/** A moment: local time, UTC on hover. */
export function Time({ at, now, seconds = false }: { at: number; now: number; seconds?: boolean }) {
  if (!at) return <span className="faint">{NO_VALUE}</span>;
  return (
    <time className="num" dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {clock(at, now, seconds)}
    </time>
  );
}

/** "14 min ago", exact times on hover. */
export function Ago({ at, now, prefix = "", suffix = " ago" }: { at: number; now: number; prefix?: string; suffix?: string }) {
  if (!at) return <span className="faint">{NO_VALUE}</span>;
  return (
    <time className="num" dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {prefix}
      {duration(now - at)}
      {suffix}
    </time>
  );
}

export function Meter({ label, share, text, tone = "dim" }: { label: string; share: number; text: string; tone?: Tone }) {
  return (
    <span className="meter">
      {label}
      <span className={`track tone-${tone}`} aria-hidden="true">
        <span className="fill" style={{ display: "block", width: `${Math.round(Math.max(0.02, Math.min(1, share)) * 100)}%` }} />
      </span>
      <span className="num" style={{ color: "var(--text)" }}>
        {text}
      </span>
    </span>
  );
}

export function Fact({ value, label, title }: { value: ReactNode; label: string; title?: string }) {
  return (
    <div className="fact" title={title}>
      <b>{value}</b>
      <span>{label}</span>
    </div>
  );
}

/** Says what could not be shown (or done), why, and offers to try again. */
export function ErrorNotice({ what, error, retry, verb = "load" }: { what: string; error: Error; retry?: () => void; verb?: string }) {
  const missing = error instanceof ApiError && error.status === 404;
  return (
    <div className="notice bad" role="alert">
      <Glyph tone="bad" size={14} />
      <div className="grow wrap-anywhere">
        <b>{missing ? `Not found: ${what}` : `Norn could not ${verb} ${what}`}</b>
        <div className="dim">{error.message}</div>
      </div>
      {retry && !missing ? (
        <button type="button" className="btn" onClick={retry}>
          Try again
        </button>
      ) : null}
    </div>
  );
}

/** What is on the page is old: renewing it failed. */
export function Stale({ what, error, at, now }: { what: string; error: Error | null; at: number; now: number }) {
  if (!error || !at) return null;
  return (
    <div className="notice warn" role="alert">
      <Glyph tone="warn" size={14} />
      <div className="grow wrap-anywhere">
        Norn could not renew {what}; shown as of <Time at={at} now={now} seconds />. <span className="dim">{error.message}</span>
      </div>
    </div>
  );
}

export function Loading({ lines = 3, height = 40 }: { lines?: number; height?: number }) {
  return (
    <div className="stack" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => (
        <Skeleton key={i} height={height} radius="md" />
      ))}
    </div>
  );
}

export function Spark({ values, style }: { values: (number | null)[]; style?: CSSProperties }) {
  const known = values.filter((v): v is number => v !== null);
  if (known.length < 2) return <svg className="spark" style={style} aria-hidden="true" />;
  const lo = Math.min(...known);
  const hi = Math.max(...known);
  // A flat line must look flat: noise below a tenth of the level is not stretched.
  const range = Math.max(hi - lo, Math.abs(hi) * 0.3, 1e-12);
  const mid = (hi + lo) / 2;
  const w = 100;
  let d = "";
  let pen = false;
  values.forEach((v, i) => {
    if (v === null) {
      pen = false;
      return;
    }
    const x = (i / (values.length - 1)) * w;
    const y = 9 - ((v - mid) / range) * 14;
    d += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return (
    <svg className="spark" style={style} viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">
      <path d={d} fill="none" stroke="currentColor" strokeWidth="1.3" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

export function NotFound() {
  return (
    <div className="empty">
      <b>There is no such page</b>
      <Link to="/">Go to Now</Link>
    </div>
  );
}
