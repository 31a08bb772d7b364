import { Link } from "@tanstack/react-router";
import type { Summary } from "../api/client";
import { duration, percent, plural } from "../lib/format";
import { Ago, EntityName, Glyph, Meter, StateMark, stateTone, Time } from "./bits";
import { ChangeIcon } from "./Icons";

const isOpen = (s: Summary["state"]) => s === "open" || s === "acknowledged" || s === "mitigating";

/** One incident in a list: what, since when, where, how sure, how bad. */
export function IncidentRow({ incident: i, now, selected }: { incident: Summary; now: number; selected: boolean }) {
  const open = isOpen(i.state);
  return (
    <Link to="/incidents/$id" params={{ id: i.id }} search={{}} className="incident" data-selected={selected} preload="intent">
      <span className="glyph">
        <Glyph tone={stateTone[i.state] ?? "dim"} size={13} />
      </span>
      <div style={{ minWidth: 0 }}>
        <div className="title">{i.title}</div>
        <div className="sentence">{i.sentence}</div>
        <div className="meta">
          {i.merged_into ? <span className="tag quiet">part of another incident</span> : i.state !== "open" ? <StateMark state={i.state} /> : null}
          {i.root.name ? (
            <span className="row" style={{ gap: 5 }}>
              root <EntityName entity={i.root} />
            </span>
          ) : (
            <span>no clear root</span>
          )}
          <span>{plural(i.affected, "entity", "entities")} affected</span>
          {i.alerts > 1 ? <span>{plural(i.alerts, "signal")} in one incident</span> : null}
          {i.change ? (
            <span className="tag accent" title={i.change.title}>
              <ChangeIcon />
              <span className="ellipsis">
                {i.change.kind}: {i.change.title}
              </span>
            </span>
          ) : null}
        </div>
      </div>
      <div className="side">
        {open ? <Ago at={i.onset_unix_ms} now={now} prefix="since " suffix="" /> : <Time at={i.onset_unix_ms} now={now} />}
        {!open && i.resolved_unix_ms ? <span>lasted {duration(i.resolved_unix_ms - i.onset_unix_ms)}</span> : null}
        <Meter label="impact" share={i.impact} text={percent(i.impact)} tone={i.impact >= 0.1 ? "bad" : "warn"} />
        <Meter label="confidence" share={i.confidence} text={percent(i.confidence)} />
      </div>
    </Link>
  );
}
