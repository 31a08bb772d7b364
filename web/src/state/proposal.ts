// A change of detection's settings on its way from where it was written to the
// backtest page. It outlives a reload, and belongs to this tab alone.

import type { Config } from "../lib/detection";

export interface Proposal {
  stored?: Config | undefined; // what would be set through the API
  change?: string | undefined; // YAML, of what only the configuration file can say
  what: string; // in words
}

const key = "norn-proposal";

export function propose(p: Proposal): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(p));
  } catch {
    // Storage is off or full: the page says that nothing was handed over.
  }
}

export function proposed(): Proposal | null {
  try {
    const p: unknown = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return p && typeof p === "object" && "what" in p ? (p as Proposal) : null;
  } catch {
    return null;
  }
}

export function withdraw(): void {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // Nothing was kept.
  }
}
