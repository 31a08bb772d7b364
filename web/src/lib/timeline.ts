// What happened in an incident, fit to be read.

import type { TimelineEvent } from "../api/client";

const together = 60_000; // ms
const few = 3;

/** Signs within a minute are one line, from the oldest of them: a person reads names, not sixty metrics. */
export function foldSigns(newestFirst: TimelineEvent[]): TimelineEvent[] {
  const out: TimelineEvent[] = [];
  let run: TimelineEvent[] = [];
  const close = () => {
    if (run.length < few) out.push(...run);
    else {
      const names = [...new Set(run.map((e) => e.entity.name).filter(Boolean))];
      const text = `${run.length} signs at ${names.slice(0, 4).join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;
      out.push({ ...run.at(-1)!, entity: { kind: "", name: "" }, text });
    }
    run = [];
  };
  for (const e of newestFirst) {
    const fits = e.kind === "anomaly" && (run.length === 0 || run[0]!.time_unix_ms - e.time_unix_ms < together);
    if (!fits) close();
    if (e.kind === "anomaly") run.push(e);
    else out.push(e);
  }
  close();
  return out;
}
