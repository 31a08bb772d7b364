// The alarms of both sides on one axis of time: a row an entity, its series
// beneath when it is opened, the present settings' lane over the proposed ones'.

import { useElementSize } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { EntityName, Mark, Time, type Tone } from "../../components/bits";
import { axisTicks, fates, fateOf, fold, type Bar, type Fate, type Fold, type Pair } from "../../lib/backtest";
import { clock, duration, middle, plural, value } from "../../lib/format";

const many = 12;
const fewSeries = 8;

const words: Record<Fate, { tone: Tone; word: string; colour: string }> = {
  missed: { tone: "bad", word: "missed", colour: "var(--bad)" },
  new: { tone: "quiet", word: "new", colour: "var(--quiet)" },
  later: { tone: "warn", word: "later", colour: "var(--warn)" },
  earlier: { tone: "good", word: "earlier", colour: "var(--good)" },
  same: { tone: "dim", word: "same time", colour: "var(--dim)" },
};

function Lane({ bars, y, x }: { bars: Bar[]; y: number; x: (t: number) => number }) {
  // What differs is drawn over what does not.
  const list = [...bars].sort((a, b) => fates.indexOf(b.fate) - fates.indexOf(a.fate));
  return list.map((b, i) => <rect key={i} x={x(b.from)} y={y} width={Math.max(3, x(b.to) - x(b.from))} height={7} rx="1.5" fill={words[b.fate].colour} opacity={b.fate === "same" ? 0.55 : 0.95} />);
}

function Lanes({ f, from, to, width }: { f: Fold; from: number; to: number; width: number }) {
  const x = (t: number) => ((Math.min(to, Math.max(from, t)) - from) / Math.max(1, to - from)) * Math.max(0, width - 4);
  return (
    <svg width={width} height={26} role="img" aria-label={`${plural(f.before.length, "alarm")} before, ${f.after.length} after: ${says(f)}`} style={{ display: "block" }}>
      {axisTicks(from, to, 6).map((t) => (
        <path key={t} d={`M${x(t)} 0V26`} stroke="var(--grid)" />
      ))}
      <path d={`M0 13H${width}`} stroke="var(--line)" />
      <Lane bars={f.before} y={3} x={x} />
      <Lane bars={f.after} y={16} x={x} />
    </svg>
  );
}

const says = (f: Fold) =>
  fates
    .filter((k) => f.count[k] > 0)
    .map((k) => `${f.count[k]} ${words[k].word}`)
    .join(", ");

function Counts({ f }: { f: Fold }) {
  return (
    <span className="row wrap" style={{ gap: "0 10px" }}>
      {fates
        .filter((k) => f.count[k] > 0)
        .map((k) => (
          <Mark key={k} tone={words[k].tone}>
            <span className="num">{f.count[k]}</span> {words[k].word}
          </Mark>
        ))}
    </span>
  );
}

function Axis({ from, to, width }: { from: number; to: number; width: number }) {
  const ticks = axisTicks(from, to, width < 420 ? 3 : 6);
  const span = to - from;
  const x = (t: number) => ((t - from) / Math.max(1, span)) * Math.max(0, width - 4);
  const name = (t: number) => {
    const d = new Date(t);
    const midnight = d.getHours() === 0 && d.getMinutes() === 0;
    return midnight || span > 3 * 86_400_000 ? `${String(d.getMonth() + 1).padStart(2, "0")}-${String(d.getDate()).padStart(2, "0")}` : clock(t, t);
  };
  return (
    <svg width={width} height={16} aria-hidden="true" style={{ display: "block" }}>
      {ticks.map((t) => (
        <text key={t} x={x(t)} y={12} fontSize="11" fill="var(--dim)" textAnchor={x(t) < 20 ? "start" : x(t) > width - 24 ? "end" : "middle"}>
          {name(t)}
        </text>
      ))}
    </svg>
  );
}

function Row({ head, f, from, to, width, inner, children }: { head: ReactNode; f: Fold; from: number; to: number; width: number; inner?: boolean; children?: ReactNode }) {
  return (
    <div className={`lanerow${inner ? " inner" : ""}`}>
      <div className="lanehead">
        {head}
        <Counts f={f} />
      </div>
      <div className="lanebox">{width > 0 ? <Lanes f={f} from={from} to={to} width={width} /> : null}</div>
      {children}
    </div>
  );
}

/** Every pair of one series, in words. */
function PairList({ pairs, unit, now }: { pairs: Pair[]; unit: string; now: number }) {
  const list = [...pairs].sort((a, b) => fates.indexOf(fateOf(a)) - fates.indexOf(fateOf(b)) || at(a) - at(b));
  return (
    <ul className="list pairs">
      {list.slice(0, 20).map((p, i) => {
        const fate = fateOf(p);
        const m = (p.after ?? p.before)!;
        return (
          <li key={i} className="row wrap small" style={{ gap: "0 10px" }}>
            <Mark tone={words[fate].tone}>{p.earlier_ms ? `${duration(Math.abs(p.earlier_ms))} ${words[fate].word}` : words[fate].word}</Mark>
            <Time at={m.time_unix_ms} now={now} seconds />
            <span className="dim">
              {m.kind.replace("_", " ")}: {value(m.observed, unit)} for {value(m.expected, unit)}
            </span>
            <Link to="/explore" search={{ series: p.series_id, from: String(m.onset_unix_ms - 3_600_000), to: String(m.time_unix_ms + 3_600_000) }} aria-label={`Explore this alarm of ${clock(m.time_unix_ms, now)}`}>
              explore
            </Link>
          </li>
        );
      })}
      {list.length > 20 ? <li className="dim small">and {list.length - 20} more</li> : null}
    </ul>
  );
}

const at = (p: Pair) => (p.before ?? p.after)!.time_unix_ms;

export function Alarms({ r, now }: { r: Schemas["BacktestReport"]; now: number }) {
  const folds = useMemo(() => fold(r.alarms, r.to_unix_ms), [r]);
  const [open, setOpen] = useState("");
  const [inner, setInner] = useState("");
  const [more, setMore] = useState(""); // entity whose series are all shown
  const [all, setAll] = useState(false);
  const { ref, width } = useElementSize();
  const span = { from: r.from_unix_ms, to: r.to_unix_ms, width };
  const shown = all ? folds : folds.slice(0, many);
  return (
    <section className="card" aria-labelledby="alarms-h">
      <header style={{ flexWrap: "wrap" }}>
        <h2 id="alarms-h">
          Alarms<span className="count">{r.alarms.length + r.alarms_left_out}</span>
        </h2>
        <span className="faint desktop-only">by entity, what changes most first</span>
        <span className="grow" />
        <span className="legend" aria-hidden="true">
          {fates.map((k) => (
            <span key={k}>
              <svg width="14" height="8">
                <rect width="14" height="7" rx="1.5" fill={words[k].colour} opacity={k === "same" ? 0.55 : 0.95} />
              </svg>
              {words[k].word}
            </span>
          ))}
        </span>
      </header>
      {folds.length === 0 ? <div className="empty">Neither settings raise an alarm in this range.</div> : null}
      <div className="lanerows">
        {folds.length ? (
          <div className="lanerow axis">
            <div className="lanehead dim small">upper lane: present, lower: proposed</div>
            <div className="lanebox" ref={ref}>
              {width > 0 ? <Axis {...span} /> : null}
            </div>
          </div>
        ) : null}
        {shown.map((e) => (
          <div key={e.key}>
            <Row
              {...span} f={e}
              head={
                <button type="button" className="foldbtn" aria-expanded={open === e.key} onClick={() => setOpen(open === e.key ? "" : e.key)}>
                  <span className="chev" aria-hidden="true" />
                  <EntityName entity={e.entity} />
                  <span className="faint nowrap">{e.series.length} series</span>
                </button>
              }
            />
            {open === e.key
              ? e.series.slice(0, more === e.key ? undefined : fewSeries).map((s) => (
                  <Row
                    key={s.key} {...span} f={s} inner
                    head={
                      <button type="button" className="foldbtn" aria-expanded={inner === s.key} onClick={() => setInner(inner === s.key ? "" : s.key)} title={s.full}>
                        <span className="chev" aria-hidden="true" />
                        <span className="ellipsis">
                          {middle(s.name.what, 30)} <span className="dim">{s.name.which}</span>
                        </span>
                      </button>
                    }
                  >
                    {inner === s.key ? <PairList pairs={s.pairs} unit={s.pairs[0]?.unit ?? ""} now={now} /> : null}
                  </Row>
                ))
              : null}
            {open === e.key && e.series.length > fewSeries && more !== e.key ? (
              <button type="button" className="seriesrow dim inner" onClick={() => setMore(e.key)}>
                Show {e.series.length - fewSeries} more series of {e.entity.name}
              </button>
            ) : null}
          </div>
        ))}
      </div>
      {folds.length > shown.length ? (
        <button type="button" className="seriesrow dim" onClick={() => setAll(true)}>
          Show {folds.length - shown.length} more entities
        </button>
      ) : null}
      {r.alarms_left_out > 0 ? <div className="in dim">{plural(r.alarms_left_out, "alarm")} beyond the report's length are counted above but not drawn; norn backtest -o json has the sums by entity and series.</div> : null}
    </section>
  );
}
