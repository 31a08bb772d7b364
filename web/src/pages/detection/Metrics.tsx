import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Ago, Glyph, Mark } from "../../components/bits";
import { SelectField, TextField } from "../../components/Form";
import { freeName, type CustomMetric } from "../../lib/detection";
import { plural } from "../../lib/format";
import { Editor, Origin, refusal, useSave, type Settings } from "./editing";

interface Draft {
  name: string;
  kind: "expr" | "logs";
  query: string;
  by: string;
  interval: string;
  timeout: string;
  unit: string;
  signal: string;
  direction: string;
  entity: string;
  entity_label: string;
}

const draftOf = (m: CustomMetric): Draft => ({
  name: m.name, kind: m.logs ? "logs" : "expr", query: m.logs || m.expr || "", by: (m.by ?? []).join(", "), interval: m.interval ?? "", timeout: m.timeout ?? "",
  unit: m.unit ?? "", signal: m.signal ?? "", direction: m.direction ?? "", entity: m.entity ?? "", entity_label: m.entity_label ?? "",
});

function metricOf(d: Draft): CustomMetric {
  const by = d.by.split(/[\s,]+/).filter(Boolean);
  const set = <K extends keyof CustomMetric>(k: K, v: string) => (v.trim() ? { [k]: v.trim() } : {});
  return {
    name: d.name.trim(), [d.kind]: d.query.trim(), ...(d.kind === "logs" && by.length ? { by } : {}), ...set("interval", d.interval), ...set("timeout", d.timeout),
    ...set("unit", d.unit), ...set("signal", d.signal), ...set("direction", d.direction), ...set("entity", d.entity), ...set("entity_label", d.entity_label),
  };
}

const signals = ["latency", "errors", "traffic", "saturation", "network", "logs", "other"];

function MetricEditor({ s, name, start, close }: { s: Settings; name: string; start: CustomMetric; close: () => void }) {
  const [d, setD] = useState(() => draftOf(start));
  const save = useSave("custom_metrics", close);
  const { at, rest } = refusal(save.error, s.stored, "custom_metrics", name);
  const set = (k: keyof Draft) => (v: string) => setD((x) => ({ ...x, [k]: v }));
  const was = name ? start : undefined;
  return (
    <Editor
      title={name ? `Custom metric ${name}` : "New custom metric"} error={rest} whole={at.get("")} saving={save.isPending} cancel={close}
      save={() => save.mutate({ name, was, item: metricOf(d) })} remove={name ? () => save.mutate({ name, was, item: null }) : undefined}
    >
      <div className="formgrid">
        <TextField label="Name" mono value={d.name} set={set("name")} fault={at.get("name")} hint="of the metric: letters, digits, _ and :" max={200} />
        <SelectField label="Language" value={d.kind} set={(v) => setD((x) => ({ ...x, kind: v as Draft["kind"] }))} options={[["expr", "PromQL"], ["logs", "LogsQL: records a second"]]} />
        <TextField
          label="Expression" grow area mono value={d.query} set={set("query")} fault={at.get(d.kind) ?? at.get(d.kind === "logs" ? "expr" : "logs")} max={8192}
          hint={d.kind === "logs" ? 'service:=cart AND "timeout"' : "sum by (service_name) (rate(http_requests_total[5m]))"}
        />
        {d.kind === "logs" ? <TextField label="Counted by" value={d.by} set={set("by")} fault={at.get("by")} hint="fields, at most 8; they become labels" /> : null}
        <TextField label="Every" value={d.interval} set={set("interval")} fault={at.get("interval")} placeholder="1m" hint="5s to 1d" max={12} />
        <TextField label="Timeout" value={d.timeout} set={set("timeout")} fault={at.get("timeout")} placeholder="2s" hint="10ms to 30s" max={12} />
        <TextField label="Unit" value={d.unit} set={set("unit")} fault={at.get("unit")} hint="s, By, 1, {request}/s" max={64} />
        <SelectField label="Signal" value={d.signal} set={set("signal")} fault={at.get("signal")} options={[["", "guessed from the name"], ...signals.map((x) => [x, x] as [string, string])]} />
        <SelectField label="Bad direction" value={d.direction} set={set("direction")} fault={at.get("direction")} options={[["", "guessed"], ["up", "up"], ["down", "down"], ["both", "both"]]} />
        <TextField label="Entity" value={d.entity} set={set("entity")} fault={at.get("entity")} hint="of all results: cart, or database/orders-db" max={500} />
        <TextField label="Entity's label" value={d.entity_label} set={set("entity_label")} fault={at.get("entity_label")} hint="or: label of the result that names it" max={200} />
      </div>
    </Editor>
  );
}

export function Metrics({ s, edit, open, now }: { s: Settings; edit: string | undefined; open: (name: string | undefined) => void; now: number }) {
  const states = new Map(s.state.custom_metrics.map((m) => [m.name, m]));
  const all = [...s.file.custom_metrics.map((m) => ({ m, file: true })), ...s.stored.custom_metrics.map((m) => ({ m, file: false }))];
  const chosen = edit === "+" ? undefined : s.stored.custom_metrics.find((m) => m.name === edit);
  const close = () => open(undefined);
  const start: CustomMetric = chosen ?? { name: freeName("custom_metric", all.map((x) => x.m.name)).replace(/ \((\d+)\)$/, "_$1") };
  return (
    <>
      {edit === "+" || chosen ? <MetricEditor key={edit} s={s} name={chosen?.name ?? ""} start={start} close={close} /> : null}
      <section className="card" aria-labelledby="metrics-h">
        <header>
          <h2 id="metrics-h">
            Custom metrics<span className="count">{all.length || ""}</span>
          </h2>
          <span className="faint desktop-only">computed by Norn and watched like any other</span>
          <span className="grow" />
          <Button size="compact-sm" variant="default" onClick={() => open("+")}>
            Add a metric
          </Button>
        </header>
        {all.length === 0 ? (
          <div className="empty">
            <b>No custom metrics</b>
            A PromQL or LogsQL expression becomes series that are stored, watched and explained.
          </div>
        ) : (
          <ul className="list">
            {all.map(({ m, file }) => {
              const st = states.get(m.name);
              return (
                <li key={m.name} className="entry" data-open={m.name === edit}>
                  <div className="grow stack" style={{ gap: 2 }}>
                    <div className="row wrap">
                      {st?.error ? <Mark tone="bad">Fails</Mark> : !st?.last_run_unix_ms ? <Mark tone="quiet">Not run yet</Mark> : st.series === 0 ? <Mark tone="warn">No result</Mark> : <Glyph tone="good" />}
                      <b className="mono wrap-anywhere">{m.name}</b>
                      <Origin file={file} />
                      {st?.last_run_unix_ms ? (
                        <span className="dim">
                          <Link to="/explore" search={{ q: m.name }}>
                            {plural(st.series, "series", "series")}
                          </Link>
                          , <Ago at={st.last_run_unix_ms} now={now} />, took {st.took_ms} ms{st.failures ? `, failed ${st.failures} of ${st.runs} times` : ""}
                        </span>
                      ) : null}
                    </div>
                    <span className="mono wrap-anywhere">{m.expr || m.logs}</span>
                    {st?.error ? <span className="tone-bad wrap-anywhere">{st.error}</span> : null}
                  </div>
                  {file ? null : (
                    <Button size="compact-sm" variant="default" onClick={() => open(m.name)} aria-label={`Edit custom metric ${m.name}`}>
                      Edit
                    </Button>
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </section>
    </>
  );
}
