// The one event stream of the console. Events are hints: each makes the
// queries that it concerns read again, at most once a second.

import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import type { StreamEvent } from "../api/client";

export interface Live {
  state: "connecting" | "live" | "lost";
  since: number; // Unix ms by this computer's clock
}

const LiveContext = createContext<Live>({ state: "connecting", since: 0 });

export const useLive = () => useContext(LiveContext);

const concerned: Record<StreamEvent["kind"], string[]> = {
  incident: ["incidents", "incident", "services", "status"],
  anomaly: ["series", "services"],
  change: ["changes"],
  status: ["status", "services", "graph"],
  ping: [],
};

/** The server pings every 15 s; a stream that is silent for longer than this is dead, whatever the network says. */
const silentAfter = 40_000;

/** The browser gives up on HTTP errors; then it is ours to try again. */
const retryAfter = 3_000;

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

/** Follows the stream until the returned function is called. */
function follow(client: QueryClient, say: (s: Live["state"]) => void): () => void {
  const inv = throttledInvalidate(client);
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let wasLost = false;
  const lose = () => {
    wasLost = true;
    say("lost");
  };
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      lose();
      source?.close();
      open();
    }, silentAfter);
  };
  const open = () => {
    source = new EventSource("/api/v1/events");
    source.onopen = () => {
      say("live");
      heard();
      if (wasLost) void client.invalidateQueries();
      wasLost = false;
    };
    source.onmessage = (m: MessageEvent<string>) => {
      heard();
      inv.mark(concerned[(JSON.parse(m.data) as StreamEvent).kind] ?? []);
    };
    source.onerror = () => {
      clearTimeout(watchdog);
      lose();
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, retryAfter);
    };
    heard();
  };
  open();
  return () => {
    source?.close();
    clearTimeout(again);
    clearTimeout(watchdog);
    inv.stop();
  };
}

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [live, setLive] = useState<Live>({ state: "connecting", since: Date.now() });
  useEffect(() => follow(client, (state) => setLive((l) => (l.state === state ? l : { state, since: Date.now() }))), [client]);
  return <LiveContext value={live}>{children}</LiveContext>;
}
