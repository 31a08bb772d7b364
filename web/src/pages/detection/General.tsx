import { Button } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { Fact, Mark } from "../../components/bits";
import { SelectField, TextField } from "../../components/Form";
import { compact, number, plural, value } from "../../lib/format";
import { fieldNumber } from "../../lib/detection";
import { propose } from "../../state/proposal";
import type { Settings } from "./editing";

const country = (code: string) => {
  try {
    return new Intl.DisplayNames(["en"], { type: "region" }).of(code) ?? code;
  } catch {
    return code;
  }
};

/** Calendar and overall sensitivity: read from the file at start, tried on history here. */
export function General({ s }: { s: Settings }) {
  const g = s.general;
  const navigate = useNavigate();
  const [alarms, setAlarms] = useState(String(g.false_alarms_per_series_week));
  const [zone, setZone] = useState(g.seasons.timezone);
  const [holidays, setHolidays] = useState(g.seasons.holidays);
  const rate = fieldNumber(alarms);
  const wrong = rate === undefined || !(rate > 0) ? "a number above 0" : undefined;
  const lines = [
    ...(rate !== undefined && rate !== g.false_alarms_per_series_week ? [`  false_alarms_per_series_week: ${rate}`] : []),
    ...(zone.trim() !== g.seasons.timezone || holidays !== g.seasons.holidays
      ? ["  seasons:", ...(zone.trim() !== g.seasons.timezone ? [`    timezone: ${JSON.stringify(zone.trim())}`] : []), ...(holidays !== g.seasons.holidays ? [`    holidays: ${JSON.stringify(holidays)}`] : [])]
      : []),
  ];
  const yaml = lines.length ? ["detection:", ...lines, ""].join("\n") : "";
  const tryIt = (e: FormEvent) => {
    e.preventDefault();
    propose({ change: yaml, what: "calendar and sensitivity" });
    void navigate({ to: "/backtest", search: { draft: "1" } });
  };
  return (
    <section className="card" aria-labelledby="general-h">
      <header>
        <h2 id="general-h">Calendar and sensitivity</h2>
        <span className="faint desktop-only">of all series, as the configuration file says</span>
      </header>
      <div className="facts">
        <Fact value={number(g.false_alarms_per_series_week)} label="false alarms a series and week" title="detection.false_alarms_per_series_week: what sensitivity low, normal and high stand for" />
        <Fact value={g.seasons.timezone === "Local" ? "the machine's" : g.seasons.timezone} label="civil time" />
        <Fact value={g.seasons.holidays ? country(g.seasons.holidays) : "none"} label="holidays of" />
        <Fact value={g.seasons.max_series ? compact(g.seasons.max_series) : "none"} label="series with a calendar, at most" />
        <Fact value={compact(g.full_series)} label="series with chosen detectors, at most" />
        <Fact value={compact(g.max_series)} label="series watched, at most" />
      </div>
      <form className="in stack" onSubmit={tryIt} noValidate>
        <div className="formgrid">
          <TextField label="False alarms a series and week" number value={alarms} set={setAlarms} fault={wrong} />
          <TextField label="Time zone" value={zone} set={setZone} hint="as Europe/Berlin; Local: the machine's" max={100} />
          <SelectField label="Public holidays" value={holidays} set={setHolidays} options={[["", "none"], ...g.seasons.countries.map((c) => [c, country(c)] as [string, string])]} />
        </div>
        {yaml ? (
          <>
            <span className="dim">These are read when Norn starts. Try them first, then put this into the configuration file:</span>
            <pre className="mono pre">{yaml}</pre>
          </>
        ) : (
          <span className="dim">Periods, the civil week, ends of months and holidays are found in each series by itself. Change a value to try it on history.</span>
        )}
        <div>
          <Button size="xs" type="submit" disabled={!yaml || !!wrong}>
            Try on history
          </Button>
        </div>
      </form>
    </section>
  );
}

export function Plugins({ s }: { s: Settings }) {
  const list = s.state.plugins;
  return (
    <section className="card" aria-labelledby="plugins-h">
      <header>
        <h2 id="plugins-h">
          Plugins<span className="count">{list.length || ""}</span>
        </h2>
        <span className="faint desktop-only">your own detectors, sandboxed WebAssembly modules</span>
      </header>
      {list.length === 0 ? (
        <div className="empty">
          <b>No plugins</b>A WebAssembly module becomes a detector with a line under <span className="mono">detection.plugins</span> of the configuration file; docs/plugins.md has the ABI and examples.
        </div>
      ) : (
        <ul className="list">
          {list.map((p) => (
            <li key={p.name} className="entry">
              <div className="grow stack" style={{ gap: 2 }}>
                <div className="row wrap">
                  {p.off ? <Mark tone="bad">Switched off</Mark> : <Mark tone="good">Runs</Mark>}
                  <b>{p.name}</b>
                  {p.title ? <span className="dim">{p.title}</span> : null}
                  <span className="mono faint wrap-anywhere">{p.path}</span>
                </div>
                {p.off ? <span className="tone-bad wrap-anywhere">{p.off}</span> : null}
                <span className="dim">
                  {plural(p.series, "series", "series")}, {compact(p.points)} points at {value(p.ns_per_point / 1e9, "s")} each, {value(p.memory_bytes, "By")}, {plural(p.raised, "word", "words")} on anomalies
                  {p.dropped ? <span className="tone-warn"> · too slow for {compact(p.dropped)} points</span> : null}
                  {p.unserved ? <span className="tone-warn"> · {compact(p.unserved)} points of series beyond its limit</span> : null}
                </span>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
