import { Link } from "@tanstack/react-router";
import { clock, value } from "../lib/format";

/** Offered after a drag over a chart: what is different in that window, and the way back. */
export function WindowBar({ from, to, now, entity, back }: { from: number; to: number; now: number; entity?: string | undefined; back: () => void }) {
  const close = to - from < 600_000;
  return (
    <div className="windowbar row wrap" role="group" aria-label="Chosen time window">
      <span className="num">
        {clock(from, now, close)} to {clock(to, now, close)}, {value((to - from) / 1000, "s")}
      </span>
      <Link className="btn small" to="/explore" search={{ tab: "changed", from: String(Math.round(from)), to: String(Math.round(to)), entity }}>
        What changed here?
      </Link>
      <button type="button" className="linkbtn" onClick={back}>
        back<span className="desktop-only">&nbsp;to the usual range</span>
      </button>
    </div>
  );
}
