import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { post } from "../../api/client";
import { ErrorNotice } from "../../components/bits";
import { TextField } from "../../components/Form";
import { differences, type Config } from "../../lib/detection";
import { proposed, withdraw, type Proposal } from "../../state/proposal";
import { Changes } from "./Changes";

const example = "detection:\n  false_alarms_per_series_week: 0.01\n";
const spans: [string, string][] = [["6 h", "-6h"], ["24 h", "-24h"], ["3 d", "-3d"], ["7 d", "-7d"]];

/** What to try, and over which time. A change that an editor handed over is shown; else it is written here. */
export function Start({ present, draft }: { present: Config | undefined; draft: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [handed, setHanded] = useState<Proposal | null>(() => (draft ? proposed() : null));
  const [from, setFrom] = useState("-24h");
  const [to, setTo] = useState("now");
  const [change, setChange] = useState(handed?.change ?? example);
  const stored = handed?.stored;
  const start = useMutation({
    mutationFn: () => post("/api/v1/backtests", { body: { from: from.trim(), to: to.trim() || "now", ...(stored ? { stored } : { change }) } }),
    onSuccess: (b) => {
      withdraw();
      void client.invalidateQueries({ queryKey: ["backtests"] });
      void navigate({ to: "/backtest", search: { id: b.id } });
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    start.mutate();
  };
  const discard = () => {
    withdraw();
    setHanded(null);
    setChange(example);
    void navigate({ to: "/backtest", search: {}, replace: true });
  };
  return (
    <section className={`card${handed ? " editor" : ""}`} aria-labelledby="try-h">
      <header>
        <h2 id="try-h">{handed ? `Try: ${handed.what}` : "Try a change"}</h2>
        <span className="faint desktop-only">stored history is judged under the present settings and under these</span>
      </header>
      <form className="in stack" onSubmit={submit} noValidate>
        {stored ? present ? <Changes from={present} to={stored} /> : null : <TextField label="Proposed settings, YAML: a part of the configuration below detection" area mono value={change} set={setChange} max={1_000_000} />}
        {stored && present && differences(present, stored).length === 0 ? <span className="tone-warn">This is what is set already: both sides will be equal.</span> : null}
        <div className="row wrap" style={{ alignItems: "flex-end" }}>
          <div style={{ width: 150 }}>
            <TextField label="From" value={from} set={setFrom} max={64} />
          </div>
          <div style={{ width: 150 }}>
            <TextField label="To" value={to} set={setTo} max={64} />
          </div>
          <div className="row" style={{ gap: 4, height: 32 }} role="group" aria-label="Length of history">
            {spans.map(([word, v]) => (
              <button
                key={v} type="button" className={`tag ${from === v && to === "now" ? "accent" : ""}`} aria-pressed={from === v && to === "now"}
                onClick={() => {
                  setFrom(v);
                  setTo("now");
                }}
              >
                {word}
              </button>
            ))}
          </div>
        </div>
        <span className="says">RFC 3339, Unix ms, or an age such as -7d; what lies before, up to 30 days, teaches the models.</span>
        <div className="row wrap">
          <Button size="xs" type="submit" loading={start.isPending}>
            Run backtest
          </Button>
          {handed ? (
            <Button size="xs" variant="default" onClick={discard}>
              Discard
            </Button>
          ) : null}
        </div>
        {start.error ? <ErrorNotice verb="start" what="the backtest" error={start.error} /> : null}
      </form>
    </section>
  );
}
