import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Pattern } from "../../api/client";
import { patternsQuery } from "../../api/queries";
import { Ago, EntityName, ErrorNotice, Loading } from "../../components/bits";
import { compact, number, plural } from "../../lib/format";
import type { TabProps } from "./tab";

/** Marks what varies. */
function marked(text: string): ReactNode[] {
  return text.split(/(<[^<>\s]*\*?[^<>\s]*>)/).map((part, i) =>
    i % 2 ? (
      <span className="var" key={i}>
        {part}
      </span>
    ) : (
      part
    ),
  );
}

/** New errors alarm, new chatter does not. */
const toneOf = (severity: string) => (/error|fatal/.test(severity) ? "bad" : severity === "warn" ? "warn" : "accent");

function Change({ p }: { p: Pattern }) {
  if (p.new) return <span className={`tag ${toneOf(p.severity)}`}>new</span>;
  if (p.change === null) return <>from 0</>;
  return <>× {number(p.change)}</>;
}

export function Patterns({ s, span, now }: TabProps) {
  const q = useQuery(patternsQuery(s.entity ?? "", span));
  if (q.isPending) return <Loading lines={6} />;
  if (!q.data) return <ErrorNotice what="the log patterns" error={q.error ?? new Error("no answer")} retry={() => void q.refetch()} />;
  return (
    <section className="card scrollx" aria-label="Log patterns" tabIndex={0}>
      {q.data.patterns.length === 0 ? <div className="empty">No log pattern in this time range.</div> : null}
      <table className="table">
        <thead>
          <tr>
            <th className="r">Count</th>
            <th className="r">Change</th>
            <th>Pattern</th>
          </tr>
        </thead>
        <tbody>
          {q.data.patterns.map((p) => (
            <tr key={`${p.entity.name}-${p.id}`}>
              <td className="r">{compact(p.count)}</td>
              <td className="r" title={`${p.before} in the window before`}>
                <Change p={p} />
              </td>
              <td className="widest" style={{ minWidth: 160 }}>
                <div className="mono wrap-anywhere">{marked(p.text)}</div>
                <div className="row wrap faint small">
                  <span className={toneOf(p.severity) === "bad" ? "tone-bad" : ""}>{p.severity}</span>
                  <EntityName entity={p.entity} />
                  <span>
                    last <Ago at={p.last_seen_unix_ms} now={now} />
                  </span>
                  <Link to="/explore" search={{ ...s, tab: "logs", query: `template:="${p.id}" service:="${p.entity.name}"` }}>
                    lines
                  </Link>
                </div>
                <details className="faint small">
                  <summary>example</summary>
                  <div className="mono wrap-anywhere dim">{p.example}</div>
                </details>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {q.data.total > q.data.patterns.length ? <div className="in dim">{plural(q.data.total, "pattern")} in all; those that changed most are shown.</div> : null}
    </section>
  );
}
