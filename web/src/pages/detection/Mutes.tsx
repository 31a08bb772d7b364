import { Button } from "@mantine/core";
import { useState } from "react";
import { ErrorNotice, Mark, type Tone } from "../../components/bits";
import { SelectField, TextField } from "../../components/Form";
import { freeName, muteState, windowText, type Mute } from "../../lib/detection";
import { plural } from "../../lib/format";
import { Editor, Origin, refusal, useSave, useTry, type Settings } from "./editing";

const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

interface Draft {
  name: string;
  match: string;
  comment: string;
  kind: "once" | "weekly";
  start: string; // local, as the input has it
  end: string;
  days: string[];
  from: string;
  to: string;
  zone: string;
}

const toInput = (iso: string | undefined) => {
  const t = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(t)) return "";
  return new Date(t - new Date(t).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
const fromInput = (text: string) => {
  const t = text ? new Date(text).getTime() : NaN;
  return Number.isNaN(t) ? undefined : new Date(t).toISOString().replace(/\.\d+Z$/, "Z");
};

const draftOf = (m: Mute): Draft => ({
  name: m.name, match: m.match, comment: m.comment ?? "", kind: m.weekly ? "weekly" : "once", start: toInput(m.start), end: toInput(m.end),
  days: m.weekly?.days ?? [], from: m.weekly?.from ?? "22:00", to: m.weekly?.to ?? "06:00", zone: m.weekly?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
});

function muteOf(d: Draft): Mute {
  const [start, end] = [fromInput(d.start), fromInput(d.end)];
  return {
    name: d.name.trim(), match: d.match.trim(), ...(d.comment.trim() ? { comment: d.comment.trim() } : {}), ...(start ? { start } : {}), ...(end ? { end } : {}),
    ...(d.kind === "weekly" ? { weekly: { days: d.days, from: d.from.trim(), to: d.to.trim(), time_zone: d.zone.trim() } } : {}),
  };
}

const lengths: [string, number][] = [["1 h", 1], ["4 h", 4], ["1 d", 24], ["7 d", 168]];

function When({ d, set, fault, now }: { d: Draft; set: (x: Partial<Draft>) => void; fault: (f: string) => string | undefined; now: number }) {
  const flip = (day: string) => set({ days: days.filter((x) => (x === day) !== d.days.includes(x)) });
  return (
    <>
      <div className="formgrid">
        <SelectField label="When" value={d.kind} set={(v) => set({ kind: v as Draft["kind"] })} options={[["once", "once"], ["weekly", "every week"]]} />
        <TextField label="From (local time)" type="datetime-local" value={d.start} set={(v) => set({ start: v })} fault={fault("start")} hint={d.kind === "weekly" ? "optional" : "empty: since ever"} />
        <TextField label="Until" type="datetime-local" value={d.end} set={(v) => set({ end: v })} fault={fault("end")} hint={d.kind === "weekly" ? "optional" : "empty: until it is ended"} />
        <div className="formfield">
          <span className="flabel">For, from now</span>
          <div className="row" style={{ gap: 4, height: 32 }}>
            {lengths.map(([word, hours]) => (
              <Button key={word} size="compact-sm" variant="default" onClick={() => set({ start: toInput(new Date(now).toISOString()), end: toInput(new Date(now + hours * 3600_000).toISOString()) })}>
                {word}
              </Button>
            ))}
          </div>
        </div>
      </div>
      {d.kind === "weekly" ? (
        <div className="formgrid">
          <fieldset className="formset wide">
            <legend>Days</legend>
            <div className="row wrap" style={{ gap: 4 }}>
              {days.map((x) => (
                <button key={x} type="button" className={`tag ${d.days.includes(x) ? "accent" : ""}`} aria-pressed={d.days.includes(x)} onClick={() => flip(x)}>
                  {x}
                </button>
              ))}
            </div>
            <span className={`says ${fault("weekly.days") ? "tone-bad" : ""}`}>{fault("weekly.days") ?? (d.days.length ? "a span over midnight belongs to the day on which it begins" : "none chosen: every day")}</span>
          </fieldset>
          <TextField label="From" value={d.from} set={(v) => set({ from: v })} fault={fault("weekly.from")} hint="HH:MM" max={5} />
          <TextField label="To" value={d.to} set={(v) => set({ to: v })} fault={fault("weekly.to")} hint="not after From: over midnight" max={5} />
          <TextField label="Time zone" value={d.zone} set={(v) => set({ zone: v })} fault={fault("weekly.time_zone")} hint="as Europe/Berlin; empty: UTC" max={100} />
        </div>
      ) : null}
    </>
  );
}

function MuteEditor({ s, name, start, now, close }: { s: Settings; name: string; start: Mute; now: number; close: () => void }) {
  const [d, setD] = useState(() => draftOf(start));
  const save = useSave("mutes", close);
  const tryIt = useTry(s, "mutes");
  const { at, rest } = refusal(save.error, s.stored, "mutes", name);
  const fault = (f: string) => at.get(f);
  const set = (x: Partial<Draft>) => setD((old) => ({ ...old, ...x }));
  const was = name ? start : undefined;
  return (
    <Editor
      title={name ? `Mute ${name}` : "New mute"} error={rest} whole={fault("")} saving={save.isPending} cancel={close}
      save={() => save.mutate({ name, was, item: muteOf(d) })} tryIt={() => tryIt({ name, item: muteOf(d) })} remove={name ? () => save.mutate({ name, was, item: null }) : undefined}
    >
      <div className="formgrid">
        <TextField label="Name" value={d.name} set={(v) => set({ name: v })} fault={fault("name")} max={200} />
        <TextField label="What it mutes" grow mono value={d.match} set={(v) => set({ match: v })} fault={fault("match")} hint='A selector as in a rule, and kind, member, source of the anomaly; {} is everything' />
        <TextField label="Why" grow value={d.comment} set={(v) => set({ comment: v })} fault={fault("comment")} hint="for those who find it: ticket, reason" max={1000} />
      </div>
      <When d={d} set={set} fault={fault} now={now} />
    </Editor>
  );
}

const tones: Record<ReturnType<typeof muteState>, [Tone, string]> = { open: ["warn", "Mutes now"], waits: ["quiet", "Waits"], over: ["dim", "Over"] };

export function Mutes({ s, edit, preset, open, now }: { s: Settings; edit: string | undefined; preset: Partial<Mute>; open: (name: string | undefined) => void; now: number }) {
  const end = useSave("mutes");
  const states = new Map(s.state.mutes.map((m) => [m.name, m]));
  const all = [...s.file.mutes.map((m) => ({ m, file: true })), ...s.stored.mutes.map((m) => ({ m, file: false }))]
    .map((x) => ({ ...x, muted: states.get(x.m.name)?.muted ?? 0, state: muteState(x.m, states.get(x.m.name)?.open ?? false, now) }))
    .sort((a, b) => ["open", "waits", "over"].indexOf(a.state) - ["open", "waits", "over"].indexOf(b.state));
  const chosen = edit === "+" ? undefined : s.stored.mutes.find((m) => m.name === edit);
  const hour = { start: new Date(now).toISOString(), end: new Date(now + 3600_000).toISOString() };
  const start: Mute = chosen ?? { ...hour, ...preset, match: preset.match ?? "", name: freeName(preset.name ?? "", all.map((x) => x.m.name)) };
  const close = () => open(undefined);
  return (
    <>
      {edit === "+" || chosen ? <MuteEditor key={edit} s={s} name={chosen?.name ?? ""} start={start} now={now} close={close} /> : null}
      <section className="card" aria-labelledby="mutes-h">
        <header>
          <h2 id="mutes-h">
            Mutes<span className="count">{all.length || ""}</span>
          </h2>
          <span className="faint desktop-only">what is muted is counted and listed, not raised</span>
          <span className="grow" />
          <Button size="compact-sm" variant="default" onClick={() => open("+")}>
            Add a mute
          </Button>
        </header>
        {end.error ? <div className="in"><ErrorNotice verb="end" what="the mute" error={end.error} /></div> : null}
        {all.length === 0 ? (
          <div className="empty">
            <b>Nothing is muted</b>
            A mute keeps known trouble (a deployment, a nightly backup) from being raised for a while, or at the same hours of every week.
          </div>
        ) : (
          <ul className="list">
            {all.map(({ m, file, state, muted }) => (
              <li key={m.name} className="entry" data-open={m.name === edit}>
                <div className="grow stack" style={{ gap: 2 }}>
                  <div className="row wrap">
                    <Mark tone={tones[state][0]}>{tones[state][1]}</Mark>
                    <b className="wrap-anywhere">{m.name}</b>
                    <Origin file={file} />
                    <span className="dim">{plural(muted, "anomaly", "anomalies")} held back</span>
                  </div>
                  <span className="mono wrap-anywhere">{m.match}</span>
                  <span className="dim wrap-anywhere">
                    {windowText(m)}
                    {m.comment ? ` · ${m.comment}` : ""}
                  </span>
                </div>
                {file ? null : (
                  <div className="row">
                    {state === "open" ? (
                      <Button size="compact-sm" variant="default" loading={end.isPending && end.variables.name === m.name} aria-label={`End mute ${m.name} now`} onClick={() => end.mutate({ name: m.name, was: m, item: ended(m, now) })}>
                        End now
                      </Button>
                    ) : null}
                    <Button size="compact-sm" variant="default" onClick={() => open(m.name)} aria-label={`Edit mute ${m.name}`}>
                      Edit
                    </Button>
                  </div>
                )}
              </li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

/** A mute that ends now; one that would end before it began is taken away. */
function ended(m: Mute, now: number): Mute | null {
  const end = Math.floor(now / 1000) * 1000;
  if (m.start && Date.parse(m.start) >= end) return null;
  return { ...m, end: new Date(end).toISOString().replace(/\.\d+Z$/, "Z") };
}
