// Lines as they come over one event stream: newest first, at most `kept`.

import { useEffect, useRef, useState } from "react";
import type { LogLine, Schemas } from "../../../api/client";
import { filterOf } from "../../../lib/logs";

const kept = 5000;

export interface Tail {
  lines: LogLine[];
  waiting: number; // lines that came while paused
  missed: boolean; // more came than are shown
  error: Error | null;
}

const nothing: Tail = { lines: [], waiting: 0, missed: false, error: null };

/** Follows a query while `on`; what comes while `paused` waits. */
export function useTail(query: string, on: boolean, paused: boolean): Tail {
  const [tail, setTail] = useState(nothing);
  const held = useRef<LogLine[]>([]);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  useEffect(() => {
    if (!on) return;
    held.current = [];
    setTail(nothing);
    const source = new EventSource(`/api/v1/logs/tail?${new URLSearchParams({ query: filterOf(query) })}`);
    source.onmessage = (m: MessageEvent<string>) => {
      const b = JSON.parse(m.data) as Schemas["LogTail"];
      if (b.error) {
        source.close();
        setTail((t) => ({ ...t, error: new Error(b.error) }));
        return;
      }
      // Senders deliver in turns: within a second the lines' own time counts.
      const fresh = [...b.lines].sort((x, y) => y.time.localeCompare(x.time));
      held.current = [...fresh, ...held.current].slice(0, kept);
      const lines = held.current;
      setTail((t) => (pausedNow.current ? { ...t, waiting: t.waiting + b.lines.length, missed: t.missed || b.missed, error: null } : { lines, waiting: 0, missed: b.missed, error: null }));
    };
    source.onerror = () => setTail((t) => ({ ...t, error: new Error(source.readyState === EventSource.CLOSED ? "Norn refused the query, or does not answer." : "The stream broke off; trying again.") }));
    return () => source.close();
  }, [query, on]);
  useEffect(() => {
    if (on && !paused) setTail((t) => (t.waiting ? { ...t, lines: held.current, waiting: 0 } : t));
  }, [on, paused]);
  return tail;
}
