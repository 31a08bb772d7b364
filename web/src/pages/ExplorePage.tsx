import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState, type FormEvent, type ReactNode } from "react";
import { changesQuery, logsQuery, patternsQuery, seriesListQuery, seriesQuery, traceQuery } from "../api/queries";
import { Ago, EntityName, ErrorNotice, Glyph, Loading, Mark } from "../components/bits";
import { ChartLegend, ExprCharts, SeriesChart } from "../components/SeriesChart";
import { SpanPicker } from "../components/SpanPicker";
import { compact, duration, number, plural, value } from "../lib/format";
import type { ExploreSearch } from "../router";
import { useNow } from "../state/clock";
import { useListKeys } from "../state/keys";
import { resolve } from "../state/span";

type Go = (s: ExploreSearch) => void;

interface TabProps {
  s: ExploreSearch;
  go: Go;
  span: { from: string; to: string };
  now: number;
}

function Explain({ id }: { id: string }) {
  const q = useQuery(seriesQuery(id));
  if (q.error) return <ErrorNotice error={q.error} />;
  const e = q.data?.explanation;
  if (!e) return <Loading lines={1} height={90} />;
  const unit = q.data?.series.unit ?? "";
  return (
    <div className="card in stack" style={{ padding: 14 }}>
      <div className="row wrap">
        {e.anomaly_id ? <Mark tone="bad">deviates now</Mark> : e.phase === "watching" ? <Mark tone="good">as usual</Mark> : <Mark tone="quiet">{e.phase.replace("_", " ")}</Mark>}
        <span className="dim num">
          {value(e.last, unit)}, expected {value(e.low, unit)} to {value(e.high, unit)} · p {number(e.p_value)} · {compact(e.points)} points
          {e.interval_ms ? ` every ${duration(e.interval_ms)}` : ""}
        </span>
      </div>
      <p>{e.sentence}</p>
      <table className="table">
        <tbody>
          {(e.facts ?? []).map((f) => <tr key={`f${f.name}`}><td className="dim">{f.name}</td><td>{f.text}</td></tr>)}
          {(e.members ?? []).map((m) => <tr key={`m${m.name}`}><td className="dim">detector {m.name}</td><td>{m.text} <span className="faint num">score {number(m.score)}, p {number(m.p_value)}</span></td></tr>)}
        </tbody>
      </table>
      <div className="mono dim wrap-anywhere">{q.data?.series.expr}</div>
    </div>
  );
}

function Metrics({ s, go, span, now }: TabProps) {
  const [q, setQ] = useState(s.q ?? "");
  const [slow] = useDebouncedValue(q, 200);
  const found = useQuery(seriesListQuery(slow, s.entity ?? "", s.signal ?? "", 100));
  const list = found.data?.series ?? [];
  const selected = useListKeys(list.length, (i) => go({ ...s, series: list[i]!.id, expr: undefined }));
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  const changes = (useQuery(changesQuery(span)).data?.changes ?? []).map((c) => ({ at: c.time_unix_ms, text: c.title }));
  const zoom = (f: number, t: number) => go({ ...s, from: String(f), to: String(t) });
  const shared = { span, from, to, changes, onZoom: zoom, syncKey: "explore" };
  const shown = s.series ? [s.series] : s.expr ? [] : list.slice(0, 6).map((x) => x.id);
  return (
    <div className="explore">
      <section className="card" aria-label="Series">
        <div className="in stack" style={{ padding: 10 }}>
          <input className="field wide" data-search placeholder="Words in name, label or entity" aria-label="Search series" value={q} onChange={(e) => { setQ(e.target.value); go({ ...s, q: e.target.value || undefined }); }} />
          {s.entity ? <button type="button" className="tag accent" style={{ cursor: "pointer", alignSelf: "start" }} onClick={() => go({ ...s, entity: undefined, series: undefined })}><span className="ellipsis">{s.entity}</span> ×<span className="sr-only">remove filter</span></button> : null}
          <span className="dim">{found.data ? plural(found.data.total, "series", "series") : "…"}</span>
        </div>
        {found.error ? <div className="in"><ErrorNotice error={found.error} /></div> : null}
        <div className="serieslist">
          {list.map((x, i) => (
            <button type="button" key={x.id} className="seriesrow" aria-current={x.id === s.series} data-selected={i === selected} onClick={() => go({ ...s, series: x.id, expr: undefined })}>
              <div className="row"><Glyph tone={x.anomaly_id ? "bad" : "good"} /><span className="ellipsis grow" title={x.name}>{x.name}</span><span className="num dim">{value(x.last, x.unit)}</span></div>
              <div className="row faint" style={{ fontSize: "0.75rem", paddingLeft: 18 }}><EntityName entity={x.entity} />{x.peer.name ? <span className="ellipsis">→ {x.peer.name}</span> : null}{x.anomaly_id ? <span className="tone-bad">deviates</span> : null}</div>
            </button>
          ))}
          {found.data && list.length === 0 ? <div className="empty">No watched series matches.</div> : null}
        </div>
      </section>
      <div className="stack">
        <ChartLegend />
        {s.expr ? <ExprCharts expr={s.expr} {...shared} height={220} /> : null}
        {shown.map((id) => <SeriesChart key={id} id={id} {...shared} link={!s.series} height={s.series ? 280 : 130} />)}
        {s.series ? <Explain id={s.series} /> : null}
      </div>
    </div>
  );
}

function Logs({ s, go, span }: TabProps) {
  const [text, setText] = useState(s.query ?? "");
  const [open, setOpen] = useState(-1);
  const q = useQuery(logsQuery(s.query ?? "", span, 200));
  const submit = (e: FormEvent) => { e.preventDefault(); go({ ...s, query: text || undefined }); };
  return (
    <div className="stack">
      <form className="row" onSubmit={submit}>
        <input className="field wide mono" data-search placeholder="LogsQL, for example: error service:=orders" aria-label="LogsQL query" value={text} onChange={(e) => setText(e.target.value)} />
        <button className="searchbox" style={{ minWidth: 0, width: "auto", padding: "0 12px", height: 32 }}>Search</button>
      </form>
      {q.error ? <ErrorNotice error={q.error} /> : null}
      <section className="card" style={{ padding: "6px 0" }} aria-label="Log lines">
        {q.isPending ? <div className="in"><Loading lines={6} height={18} /></div> : null}
        {q.data?.lines.length === 0 ? <div className="empty">No line matches in this time range.</div> : null}
        {q.data?.lines.map((l, i) => (
          <div key={i}>
            <button type="button" className="logline" onClick={() => setOpen(open === i ? -1 : i)} aria-expanded={open === i}>
              <span className="dim num" title={l.time}>{l.time ? new Date(l.time).toTimeString().slice(0, 8) : ""}</span>
              <span className={/error|fatal/.test(l.severity) ? "tone-bad" : l.severity === "warn" ? "tone-warn" : "dim"}>{l.severity}</span>
              <span className="dim ellipsis svc">{l.service}</span>
              <span className="msg">{l.message || Object.entries(l.fields).map(([k, v]) => `${k}=${v}`).join(" ")}</span>
            </button>
            {open === i ? (
              <div className="logfields">
                <div>service={l.service} time={l.time}</div>
                {l.trace_id ? <div>trace_id=<Link to="/explore" search={{ ...s, tab: "trace", trace: l.trace_id }}>{l.trace_id}</Link></div> : null}
                {Object.entries(l.fields).map(([k, v]) => <div key={k}>{k}={v}</div>)}
              </div>
            ) : null}
          </div>
        ))}
      </section>
      {q.data?.more ? <div className="dim">The newest 200 are shown; narrow the query or the time range.</div> : null}
    </div>
  );
}

function pattern(text: string): ReactNode[] {
  return text.split(/(<[^<>\s]*\*?[^<>\s]*>)/).map((part, i) => (i % 2 ? <span className="var" key={i}>{part}</span> : part));
}

function Patterns({ s, span, now }: TabProps) {
  const q = useQuery(patternsQuery(s.entity ?? "", span));
  if (q.isPending) return <Loading lines={6} />;
  if (!q.data) return <ErrorNotice error={q.error ?? new Error("no answer")} />;
  return (
    <section className="card" style={{ overflowX: "auto", position: "relative" }}>
      {q.data.patterns.length === 0 ? <div className="empty">No log pattern in this time range.</div> : null}
      <table className="table">
        <thead><tr><th className="r">Count</th><th className="r">Change</th><th>Pattern</th></tr></thead>
        <tbody>
          {q.data.patterns.map((p) => (
            <tr key={`${p.entity.name}-${p.id}`}>
              <td className="r">{compact(p.count)}</td>
              <td className="r" title={`${p.before} in the window before`}>{p.new ? <span className="tag bad">new</span> : p.change === null ? "from 0" : `× ${number(p.change)}`}</td>
              <td style={{ minWidth: 160 }}>
                <div className="mono wrap-anywhere">{pattern(p.text)}</div>
                <div className="row wrap faint" style={{ fontSize: "0.75rem" }}><span className={/error|fatal/.test(p.severity) ? "tone-bad" : ""}>{p.severity}</span><EntityName entity={p.entity} /><span>last <Ago at={p.last_seen_unix_ms} now={now} /></span></div>
                <details className="faint"><summary>example</summary><div className="mono wrap-anywhere dim">{p.example}</div></details>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Trace({ id }: { id: string }) {
  const q = useQuery(traceQuery(id));
  if (q.isPending) return <Loading lines={5} />;
  if (!q.data) return <ErrorNotice error={q.error ?? new Error("no answer")} />;
  const spans = q.data.spans;
  const start = Math.min(...spans.map((x) => x.start_unix_nano));
  const total = Math.max(1, Math.max(...spans.map((x) => x.end_unix_nano)) - start);
  return (
    <section className="card" style={{ overflowX: "auto", position: "relative" }}>
      <header><h2>Trace <span className="mono wrap-anywhere">{id}</span><span className="count">{spans.length} spans</span></h2></header>
      <table className="table"><tbody>
        {spans.map((x) => (
          <tr key={x.span_id}>
            <td><EntityName entity={x.entity} /><div className="dim">{x.name}{x.error ? <span className="tone-bad"> failed {x.status_message}</span> : null}</div></td>
            <td style={{ width: "45%", minWidth: 110 }}><div style={{ marginTop: 6, marginLeft: `${((x.start_unix_nano - start) / total) * 100}%`, width: `${Math.max(0.5, ((x.end_unix_nano - x.start_unix_nano) / total) * 100)}%`, height: 8, borderRadius: 2, background: x.error ? "var(--bad)" : "var(--curve)" }} /></td>
            <td className="r">{value((x.end_unix_nano - x.start_unix_nano) / 1e9, "s")}</td>
          </tr>
        ))}
      </tbody></table>
    </section>
  );
}

export function ExplorePage() {
  const s = useSearch({ from: "/explore" });
  const navigate = useNavigate();
  const now = useNow();
  const go: Go = (next) => void navigate({ to: "/explore", search: next, replace: true, resetScroll: false });
  const span = { from: s.from ?? "-1h", to: s.to ?? "now" };
  useEffect(() => { document.title = "Explore · Norn"; }, []);
  const tabs = [[undefined, "Metrics"], ["logs", "Logs"], ["patterns", "Log patterns"], ...(s.trace ? [["trace", "Trace"]] : [])] as [ExploreSearch["tab"], string][];
  const p = { s, go, span, now };
  return (
    <div className="page">
      <div className="pagehead">
        <h1 className="sr-only">Explore</h1>
        <div className="tabs" role="navigation" aria-label="What to explore">
          {tabs.map(([tab, name]) => <Link key={name} to="/explore" search={{ ...s, tab }} aria-current={s.tab === tab ? "page" : undefined} activeProps={{}}>{name}</Link>)}
        </div>
        <SpanPicker span={s} fallback="-1h" onChange={(r) => go({ ...s, ...r })} />
      </div>
      {s.tab === "logs" ? <Logs key={s.query ?? ""} {...p} /> : s.tab === "patterns" ? <Patterns {...p} /> : s.tab === "trace" ? <Trace id={s.trace ?? ""} /> : <Metrics {...p} />}
    </div>
  );
}
