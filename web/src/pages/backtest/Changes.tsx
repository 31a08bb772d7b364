import { Mark, type Tone } from "../../components/bits";
import { differences, listWord, ruleText, windowText, type Config, type Difference } from "../../lib/detection";

const tones: Record<Difference["kind"], [Tone, string]> = { added: ["good", "new"], changed: ["warn", "changed"], removed: ["bad", "removed"] };

function says(c: Config, d: Difference): string {
  switch (d.list) {
    case "rules": {
      const r = c.rules.find((x) => x.name === d.name);
      return r ? `${r.match}: ${ruleText(r)}` : "";
    }
    case "mutes": {
      const m = c.mutes.find((x) => x.name === d.name);
      return m ? `${m.match}: ${windowText(m)}` : "";
    }
    default: {
      const m = c.custom_metrics.find((x) => x.name === d.name);
      return m ? (m.expr ?? m.logs ?? "") : "";
    }
  }
}

/** What differs between two settings, entry by entry, as it was and as it would be. */
export function Changes({ from, to }: { from: Config; to: Config }) {
  return (
    <ul className="list">
      {differences(from, to).map((d) => (
        <li key={`${d.list} ${d.name}`} className="stack" style={{ gap: 2, padding: "4px 0" }}>
          <div className="row wrap">
            <Mark tone={tones[d.kind][0]}>{tones[d.kind][1]}</Mark>
            <span className="dim">{listWord[d.list]}</span>
            <b className="wrap-anywhere">{d.name}</b>
          </div>
          {d.kind === "added" ? null : <span className="dim wrap-anywhere">was {says(from, d)}</span>}
          {d.kind === "removed" ? null : <span className="wrap-anywhere">{says(to, d)}</span>}
        </li>
      ))}
    </ul>
  );
}
