import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { LogLine } from "../../../api/client";
import { contextQuery } from "../../../api/queries";
import { ErrorNotice, Loading } from "../../../components/bits";
import { fullTime } from "../../../lib/format";
import { fieldsOf, narrows } from "../../../lib/logs";
import type { ExploreSearch } from "../../../router";
import { LineText } from "./Lines";

interface Props {
  l: LogLine;
  s: ExploreSearch;
  now: number;
  narrow: (field: string, value: string, out?: boolean) => void;
}

/** What the same instance wrote before and after, whatever the query. */
function Context({ l, now }: { l: LogLine; now: number }) {
  const [n, setN] = useState(6);
  const q = useQuery(contextQuery(l.id, n));
  if (q.isPending) return <Loading lines={2} height={18} />;
  if (!q.data) return <ErrorNotice what="the lines around it" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  return (
    <div className="context" role="group" aria-label="Lines around it">
      {q.data.lines.map((x, i) => (
        <div key={x.id} className="logline plain" aria-current={i === q.data.index || undefined}>
          <LineText l={x} now={now} />
        </div>
      ))}
      {n < 100 && q.data.lines.length > n ? (
        <button type="button" className="tag" onClick={() => setN(n * 3)}>
          more around it
        </button>
      ) : null}
    </div>
  );
}

/** All of one line: its text, its fields, and where it leads. */
export function Detail({ l, s, now, narrow }: Props) {
  const [around, setAround] = useState(false);
  const [copied, setCopied] = useState(false);
  const query = s.query ?? "";
  const at = Date.parse(l.time);
  const share = () => {
    // A range that goes with the clock would lose the line.
    const u = new URL(location.href);
    u.searchParams.set("line", l.id);
    u.searchParams.delete("tail");
    if (!/^\d+$/.test(s.to ?? "")) {
      u.searchParams.set("from", String(at - 900_000));
      u.searchParams.set("to", String(at + 900_000));
    }
    navigator.clipboard.writeText(u.href).then(() => setCopied(true), () => setCopied(false));
  };
  return (
    <div className="logfields">
      <div className="row wrap" style={{ marginBottom: 6 }}>
        {l.trace_id ? (
          <Link className="btn small" to="/explore" search={{ ...s, tab: "trace", trace: l.trace_id }}>
            trace
          </Link>
        ) : null}
        {l.template ? (
          <Link className="btn small" to="/explore" search={{ ...s, tab: "patterns", pattern: l.template, entity: undefined }}>
            its pattern
          </Link>
        ) : null}
        {l.id ? (
          <>
            <button type="button" className="btn small" aria-expanded={around} onClick={() => setAround(!around)}>
              lines around it
            </button>
            <button type="button" className="btn small" onClick={share}>
              {copied ? "copied" : "copy link"}
            </button>
          </>
        ) : null}
      </div>
      {around ? <Context l={l} now={now} /> : null}
      <div className="fulltext">{l.message}</div>
      <dl className="fields">
        {l.time ? (
          <div>
            <dt>time</dt>
            <dd title={fullTime(at)}>{l.time}</dd>
          </div>
        ) : null}
        {fieldsOf(l).map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>
              <span>{v}</span>{" "}
              <span className="nowrap">
                <button type="button" className="tiny" aria-pressed={narrows(query, k, v)} aria-label={`Only ${k} = ${v}`} onClick={() => narrow(k, v)}>
                  only
                </button>
                <button type="button" className="tiny" aria-pressed={narrows(query, k, v, true)} aria-label={`Not ${k} = ${v}`} onClick={() => narrow(k, v, true)}>
                  not
                </button>
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
