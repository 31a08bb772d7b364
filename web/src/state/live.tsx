// The one event stream of the console. Events are hints: each makes the
// queries that it concerns read again, at most once a second.

import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import type { StreamEvent } from "../api/client";

export type LiveState = "connecting" | "live" | "lost";

const LiveContext = createContext<LiveState>("connecting");

export const useLive = () => useContext(LiveContext);

const concerned: Record<StreamEvent["kind"], string[]> = {
  incident: ["incidents", "incident", "services", "status"],
  anomaly: ["series", "services"],
  change: ["changes"],
  status: ["status", "services", "graph"],
  ping: [],
};

function throttledInvalidate(client: QueryClient) {
  const due = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    mark(keys: string[]) {
      keys.forEach((k) => due.add(k));
      if (due.size > 0)
        timer ??= setTimeout(() => {
          timer = undefined;
          for (const k of due) void client.invalidateQueries({ queryKey: [k] });
          due.clear();
        }, 1000);
    },
    stop: () => clearTimeout(timer),
  };
}

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [state, setState] = useState<LiveState>("connecting");
  useEffect(() => {
    const inv = throttledInvalidate(client);
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let wasLost = false;
    const open = () => {
      source = new EventSource("/api/v1/events");
      source.onopen = () => {
        setState("live");
        if (wasLost) void client.invalidateQueries();
        wasLost = false;
      };
      source.onmessage = (m: MessageEvent<string>) => inv.mark(concerned[(JSON.parse(m.data) as StreamEvent).kind] ?? []);
      source.onerror = () => {
        wasLost = true;
        setState("lost");
        // The browser gives up on HTTP errors; then it is ours to try again.
        if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, 5000);
      };
    };
    open();
    return () => {
      source?.close();
      clearTimeout(again);
      inv.stop();
    };
  }, [client]);
  return <LiveContext value={state}>{children}</LiveContext>;
}
