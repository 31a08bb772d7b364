// Lines as they come: newest first, at most `kept`, none twice.

import { useEffect, useRef, useState } from "react";
import { get, type LogLine } from "../../../api/client";
import { filterOf, lineKey } from "../../../lib/logs";

const kept = 5000;
const every = 1000; // ms between two looks
const late = 10_000; // ms by which a line may come after a newer one
const most = 1000; // lines of one look

export interface Tail {
  lines: LogLine[];
  waiting: number; // lines that came while paused
  skipped: boolean; // more came than could be taken
  error: Error | null;
}

const nothing: Tail = { lines: [], waiting: 0, skipped: false, error: null };

/** Follows a query while `on`; what comes while `paused` waits. */
export function useTail(query: string, on: boolean, paused: boolean): Tail {
  const [tail, setTail] = useState(nothing);
  const held = useRef<LogLine[]>([]);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  useEffect(() => {
    if (!on) return;
    const stop = new AbortController();
    const seen = new Map<string, number>();
    let since = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    held.current = [];
    setTail(nothing);
    const look = async () => {
      try {
        const r = await get("/api/v1/logs", { query: { query: filterOf(query), from: since ? String(since - late) : "-15s", to: "now", limit: most } }, stop.signal);
        const fresh = r.lines.filter((l) => l.time && !seen.has(lineKey(l)));
        for (const l of fresh) {
          const at = Date.parse(l.time);
          seen.set(lineKey(l), at);
          since = Math.max(since, at);
        }
        for (const [k, at] of seen) if (at < since - 2 * late) seen.delete(k);
        held.current = [...fresh, ...held.current].slice(0, kept);
        const lines = held.current;
        setTail((t) => (pausedNow.current ? { ...t, waiting: t.waiting + fresh.length, error: null } : { lines, waiting: 0, skipped: r.more && fresh.length >= most, error: null }));
      } catch (e) {
        if (stop.signal.aborted) return;
        setTail((t) => ({ ...t, error: e instanceof Error ? e : new Error(String(e)) }));
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void look(), every);
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [query, on]);
  useEffect(() => {
    if (on && !paused) setTail((t) => (t.waiting ? { ...t, lines: held.current, waiting: 0 } : t));
  }, [on, paused]);
  return tail;
}
