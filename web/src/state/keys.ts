// Keyboard: one listener, the topmost handler that wants a key gets it.

import { useEffect, useEffectEvent, useState } from "react";

function typing(e: KeyboardEvent): boolean {
  const t = e.target as HTMLElement | null;
  return !!t?.closest("input, textarea, select, [contenteditable=true]");
}

export type KeyMap = Record<string, () => void>;

/**
 * Calls the handler of a pressed key ("j", "Enter", "?"), or of two keys in a
 * row ("g n"). Keys with Ctrl, Alt or Meta are left alone, and all keys while
 * a person types or a dialog is open.
 */
export function useKeys(map: KeyMap, enabled = true): void {
  const onKey = useEffectEvent((e: KeyboardEvent, before: string): string => {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || typing(e) || document.querySelector("[role=dialog]")) return "";
    const target = e.target as HTMLElement | null;
    if (e.key === "Enter" && target?.closest("a, button")) return ""; // they have their own Enter
    const pair = `${before} ${e.key}`;
    const run = (before && map[pair]) || map[e.key];
    if (run) {
      e.preventDefault();
      run();
      return "";
    }
    return Object.keys(map).some((k) => k.startsWith(`${e.key} `)) ? e.key : "";
  });
  useEffect(() => {
    if (!enabled) return;
    let before = "";
    let forget: ReturnType<typeof setTimeout> | undefined;
    const listen = (e: KeyboardEvent) => {
      before = onKey(e, before);
      clearTimeout(forget);
      forget = setTimeout(() => (before = ""), 1000);
    };
    window.addEventListener("keydown", listen);
    return () => {
      clearTimeout(forget);
      window.removeEventListener("keydown", listen);
    };
  }, [enabled]);
}

/** j/k and Enter over a list; returns the selected index, -1 before the first key. */
export function useListKeys(count: number, open: (index: number) => void, enabled = true): number {
  const [chosen, setChosen] = useState(-1);
  const selected = Math.min(chosen, count - 1);
  const move = (d: number) => {
    const next = Math.max(0, Math.min(count - 1, selected + d));
    setChosen(next);
    requestAnimationFrame(() => document.querySelector("[data-selected=true]")?.scrollIntoView({ block: "nearest" }));
  };
  useKeys(
    {
      j: () => move(1),
      k: () => move(-1),
      Enter: () => {
        if (selected >= 0) open(selected);
      },
    },
    enabled && count > 0,
  );
  return selected;
}
