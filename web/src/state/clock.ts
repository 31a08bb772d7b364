// Time as the server sees it (in a replay, the data's own), ticking slowly.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { statusQuery } from "../api/queries";

/** Now in Unix ms by the server's clock, renewed every `every` ms. */
export function useNow(every = 5000): number {
  const { data, dataUpdatedAt } = useQuery(statusQuery);
  const [tick, setTick] = useState(() => Date.now());
  useEffect(() => {
    const t = setInterval(() => setTick(Date.now()), every);
    return () => clearInterval(t);
  }, [every]);
  return data ? data.now_unix_ms + Math.max(0, tick - dataUpdatedAt) : tick;
}
