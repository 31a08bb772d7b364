// What a range is compared with, and how sure a difference is.

import { Time } from "../../components/bits";
import { number } from "../../lib/format";
import { resolve } from "../../state/span";
import type { TabProps } from "./tab";

/** How likely chance alone makes such a difference; q is p for all that was compared together. */
export const chance = (p: number, q: number) => (q <= 0.01 ? `p ${number(p)}` : `may be chance, p ${number(p)}`);

const hour = 3_600_000;

/** The other range: right before, an hour, a day or a week before. */
const choices: [string, number][] = [["right before", 0], ["an hour before", hour], ["a day before", 24 * hour], ["a week before", 168 * hour]];

export function AgainstPicker({ s, go, from, to, now }: { s: TabProps["s"]; go: TabProps["go"]; from: number; to: number; now: number }) {
  const span = [resolve(s.from ?? "-1h", now), resolve(s.to ?? "now", now)] as const;
  const pick = (back: number) => go({ ...s, bfrom: back ? String(Math.round(span[0] - back)) : undefined, bto: back ? String(Math.round(span[1] - back)) : undefined });
  const chosen = s.bfrom ? choices.findIndex(([, b]) => b > 0 && Math.abs(span[0] - b - Number(s.bfrom)) < 60_000) : 0;
  return (
    <span className="row wrap">
      <label className="row">
        <span className="dim nowrap">compared with</span>
        <select className="field" aria-label="Compared with" value={chosen < 0 ? "" : String(chosen)} onChange={(e) => pick(choices[Number(e.target.value)]![1])}>
          {chosen < 0 ? <option value="">another time</option> : null}
          {choices.map(([name], i) => (
            <option key={name} value={String(i)}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <span className="faint small">
        <Time at={from} now={now} seconds={to - from < 600_000} /> to <Time at={to} now={now} seconds={to - from < 600_000} />
      </span>
    </span>
  );
}
