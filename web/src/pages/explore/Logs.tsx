import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { LogLine } from "../../api/client";
import { logsQuery } from "../../api/queries";
import { ErrorNotice, Loading } from "../../components/bits";
import { clock } from "../../lib/format";
import type { ExploreSearch } from "../../router";
import type { TabProps } from "./tab";

const severe = /error|fatal/;
const shown = 200;

/** Queries that are wanted most often, one click away. */
const quick: [string, string][] = [
  ["everything", ""],
  ["errors", "severity:in(error,fatal)"],
  ["warnings and errors", "severity:in(warn,error,fatal)"],
];

function Line({ l, now, open, toggle, s }: { l: LogLine; now: number; open: boolean; toggle: () => void; s: ExploreSearch }) {
  const tone = severe.test(l.severity) ? "tone-bad" : l.severity === "warn" ? "tone-warn" : "dim";
  const rest = () =>
    Object.entries(l.fields)
      .map(([k, v]) => `${k}=${v}`)
      .join(" ");
  return (
    <div>
      <button type="button" className="logline" onClick={toggle} aria-expanded={open}>
        <span className="dim num" title={l.time}>{l.time ? clock(Date.parse(l.time), now, true) : ""}</span>
        <span className={tone}>{l.severity}</span>
        <span className="dim ellipsis svc">{l.service}</span>
        <span className="msg">{l.message || rest()}</span>
      </button>
      {open ? (
        <div className="logfields">
          <div>
            service={l.service} time={l.time}
          </div>
          {l.trace_id ? (
            <div>
              trace_id=
              <Link to="/explore" search={{ ...s, tab: "trace", trace: l.trace_id }}>
                {l.trace_id}
              </Link>
            </div>
          ) : null}
          {Object.entries(l.fields).map(([k, v]) => (
            <div key={k}>
              {k}={v}
            </div>
          ))}
        </div>
      ) : null}
    </div>
  );
}

export function Logs({ s, go, span, now }: TabProps) {
  const [text, setText] = useState(s.query ?? "");
  const [open, setOpen] = useState(-1);
  const q = useQuery(logsQuery(s.query ?? "", span, shown));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    go({ ...s, query: text.trim() || undefined });
    void q.refetch();
  };
  return (
    <div className="stack">
      <form className="row" onSubmit={submit}>
        <input
          className="field wide mono" data-search placeholder="LogsQL, for example: error service:=orders" aria-label="LogsQL query" value={text}
          onChange={(e) => setText(e.target.value)}
        />
        <button className="btn">Search</button>
      </form>
      <div className="row wrap" role="group" aria-label="Common queries">
        {quick.map(([name, query]) => (
          <button key={name} type="button" className={`tag ${(s.query ?? "") === query ? "accent" : ""}`} aria-pressed={(s.query ?? "") === query} onClick={() => go({ ...s, query: query || undefined })}>
            {name}
          </button>
        ))}
      </div>
      {q.error ? <ErrorNotice what="the log lines" error={q.error} retry={() => void q.refetch()} /> : null}
      {q.error && !q.data ? null : (
        <section className="card" style={{ padding: "6px 0" }} aria-label="Log lines" aria-busy={q.isFetching}>
          {q.isPending ? (
            <div className="in">
              <Loading lines={6} height={18} />
            </div>
          ) : null}
          {q.data?.lines.length === 0 ? <div className="empty">No line matches in this time range.</div> : null}
          {q.data?.lines.map((l, i) => (
            <Line key={i} l={l} now={now} s={s} open={open === i} toggle={() => setOpen(open === i ? -1 : i)} />
          ))}
        </section>
      )}
      {q.data?.more ? <div className="dim">The newest {shown} are shown; narrow the query or the time range.</div> : null}
    </div>
  );
}
