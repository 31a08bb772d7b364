import { Button } from "@mantine/core";
import { useState } from "react";
import { SelectField, TextField } from "../../components/Form";
import { fieldNumber, freeName, members, ruleText, type Rule } from "../../lib/detection";
import { Editor, Origin, refusal, useSave, useTry, type Settings } from "./editing";

interface Draft {
  name: string;
  match: string;
  direction: string;
  sensitivity: string;
  weight: string;
  absolute: string;
  relative: string; // per cent
  min: string;
  max: string;
  members: [string, string][];
}

const text = (v: number | undefined) => (v === undefined ? "" : String(v));

function draftOf(r: Rule): Draft {
  const share = r.min_deviation?.relative;
  return {
    name: r.name, match: r.match, direction: r.direction ?? "", sensitivity: r.sensitivity ?? "", weight: text(r.weight),
    absolute: text(r.min_deviation?.absolute), relative: share === undefined ? "" : String(Number((share * 100).toPrecision(12))),
    min: text(r.range?.min), max: text(r.range?.max), members: Object.entries(r.member_weights ?? {}).map(([m, w]) => [m, String(w)]),
  };
}

/** The rule, and what is no number in the form. */
function ruleOf(d: Draft): { rule: Rule; wrong: Map<string, string> } {
  const wrong = new Map<string, string>();
  const num = (field: string, t: string): number | undefined => {
    const v = fieldNumber(t);
    if (v !== undefined && !Number.isFinite(v)) wrong.set(field, `“${t}” is not a number`);
    return v;
  };
  const share = num("min_deviation.relative", d.relative);
  const min_deviation = { absolute: num("min_deviation.absolute", d.absolute), relative: share === undefined ? undefined : share / 100 };
  const range = { min: num("range.min", d.min), max: num("range.max", d.max) };
  const weights: Record<string, number> = {};
  for (const [m, w] of d.members) {
    if (!m.trim() && !w.trim()) continue;
    const v = num("member_weights", w);
    if (v === undefined) wrong.set("member_weights", `${m || "a member"} has no weight`);
    else weights[m.trim()] = v;
  }
  const weight = num("weight", d.weight);
  const has = (o: object) => Object.values(o).some((v) => v !== undefined);
  return {
    wrong,
    rule: {
      name: d.name.trim(), match: d.match.trim(),
      ...(d.direction ? { direction: d.direction } : {}), ...(d.sensitivity ? { sensitivity: d.sensitivity } : {}), ...(weight === undefined ? {} : { weight }),
      ...(has(min_deviation) ? { min_deviation } : {}), ...(has(range) ? { range } : {}), ...(Object.keys(weights).length ? { member_weights: weights } : {}),
    },
  };
}

function MemberWeights({ list, set, fault }: { list: [string, string][]; set: (l: [string, string][]) => void; fault: string | undefined }) {
  const change = (i: number, part: 0 | 1, v: string) => set(list.map((x, n) => (n === i ? ((part === 0 ? [v, x[1]] : [x[0], v]) as [string, string]) : x)));
  return (
    <fieldset className="formset">
      <legend>Weights of members</legend>
      <datalist id="member-names">
        {members.map((m) => (
          <option key={m} value={m} />
        ))}
      </datalist>
      {list.map(([m, w], i) => (
        <div className="row" key={i}>
          <input className="field" style={{ width: 150 }} list="member-names" aria-label="Member" placeholder="level, plugin:NAME" value={m} onChange={(e) => change(i, 0, e.target.value)} />
          <input className="field" style={{ width: 70 }} inputMode="decimal" aria-label={`Weight of ${m || "the member"}`} value={w} onChange={(e) => change(i, 1, e.target.value)} />
          <Button size="compact-xs" variant="default" onClick={() => set(list.filter((_, n) => n !== i))} aria-label={`Take ${m || "the member"} out`}>
            ×
          </Button>
        </div>
      ))}
      {fault ? (
        <span className="says tone-bad" role="alert">
          {fault}
        </span>
      ) : (
        <span className="says">0: what this member says is not heard; 2: it counts double.</span>
      )}
      <div>
        <Button size="compact-xs" variant="default" onClick={() => set([...list, ["", "1"]])}>
          Add a member
        </Button>
      </div>
    </fieldset>
  );
}

function RuleEditor({ s, name, start, close }: { s: Settings; name: string; start: Rule; close: () => void }) {
  const [d, setD] = useState(() => draftOf(start));
  const [wrong, setWrong] = useState(new Map<string, string>());
  const save = useSave("rules", close);
  const tryIt = useTry(s, "rules");
  const { at, rest } = refusal(save.error, s.stored, "rules", name);
  const fault = (f: string) => wrong.get(f) ?? at.get(f);
  const set = (k: keyof Draft) => (v: string) => setD((x) => ({ ...x, [k]: v }));
  const was = name ? start : undefined;
  const when = (run: (item: Rule) => void) => () => {
    const { rule, wrong: w } = ruleOf(d);
    setWrong(w);
    if (w.size === 0) run(rule);
  };
  return (
    <Editor
      title={name ? `Rule ${name}` : "New rule"} error={rest} whole={fault("")} saving={save.isPending} cancel={close}
      save={when((item) => save.mutate({ name, was, item }))} tryIt={when((item) => tryIt({ name, item }))} remove={name ? () => save.mutate({ name, was, item: null }) : undefined}
    >
      <div className="formgrid">
        <TextField label="Name" value={d.name} set={set("name")} fault={fault("name")} max={200} />
        <TextField label="Applies to" grow mono value={d.match} set={set("match")} fault={fault("match")} hint='A selector: {service_name="cart"}, {signal="latency"}; {} is everything' />
        <SelectField label="Bad direction" value={d.direction} set={set("direction")} fault={fault("direction")} options={[["", "as guessed"], ["up", "up"], ["down", "down"], ["both", "both"]]} />
        <SelectField label="Sensitivity" value={d.sensitivity} set={set("sensitivity")} fault={fault("sensitivity")} options={[["", "as it is"], ["low", "low: 1/20 of the alarms"], ["normal", "normal"], ["high", "high: 20 × the alarms"]]} />
        <TextField label="Weight" number value={d.weight} set={set("weight")} fault={fault("weight")} hint="0 to 10; 0: not watched" />
        <TextField label="Least deviation" number value={d.absolute} set={set("absolute")} fault={fault("min_deviation.absolute")} hint="in the series' unit" />
        <TextField label="Least deviation, %" number value={d.relative} set={set("relative")} fault={fault("min_deviation.relative")} hint="of what is expected" />
        <TextField label="Data from" number value={d.min} set={set("min")} fault={fault("range.min") ?? fault("range")} hint="less is refused" />
        <TextField label="Data to" number value={d.max} set={set("max")} fault={fault("range.max")} hint="more is refused" />
      </div>
      <MemberWeights list={d.members} set={(l) => setD((x) => ({ ...x, members: l }))} fault={fault("member_weights") ?? [...at].filter(([k]) => k.startsWith("member_weights.")).map(([k, v]) => `${k.slice(15)}: ${v}`)[0]} />
    </Editor>
  );
}

export interface RulesProps {
  s: Settings;
  edit: string | undefined; // name, "+" for a new one
  preset: Partial<Rule>;
  open: (name: string | undefined) => void;
}

export function Rules({ s, edit, preset, open }: RulesProps) {
  const all = [...s.file.rules.map((r) => ({ r, file: true })), ...s.stored.rules.map((r) => ({ r, file: false }))];
  const chosen = edit === "+" ? undefined : s.stored.rules.find((r) => r.name === edit);
  const close = () => open(undefined);
  const start: Rule = chosen ?? { ...preset, match: preset.match ?? "", name: freeName(preset.name ?? "", all.map((x) => x.r.name)) };
  return (
    <>
      {edit === "+" || chosen ? <RuleEditor key={edit} s={s} name={chosen?.name ?? ""} start={start} close={close} /> : null}
      <section className="card" aria-labelledby="rules-h">
        <header>
          <h2 id="rules-h">
            Rules<span className="count">{all.length || ""}</span>
          </h2>
          <span className="faint desktop-only">all that match apply, from top to bottom; what a later one names wins</span>
          <span className="grow" />
          <Button size="compact-sm" variant="default" onClick={() => open("+")}>
            Add a rule
          </Button>
        </header>
        {all.length === 0 ? (
          <div className="empty">
            <b>No rules</b>
            Every series is judged as its profile and signal say. A rule changes that for the series it names: direction, sensitivity, least deviation, weight.
          </div>
        ) : (
          <ul className="list">
            {all.map(({ r, file }) => (
              <li key={r.name} className="entry" data-open={r.name === edit}>
                <div className="grow stack" style={{ gap: 2 }}>
                  <div className="row wrap">
                    <b className="wrap-anywhere">{r.name}</b>
                    <Origin file={file} />
                  </div>
                  <span className="mono wrap-anywhere">{r.match}</span>
                  <span className="dim wrap-anywhere">{ruleText(r)}</span>
                </div>
                {file ? null : (
                  <Button size="compact-sm" variant="default" onClick={() => open(r.name)} aria-label={`Edit rule ${r.name}`}>
                    Edit
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </section>
      {s.state.refused_values > 0 ? <div className="dim">{s.state.refused_values} values outside of their rule's range were refused since start.</div> : null}
    </>
  );
}
