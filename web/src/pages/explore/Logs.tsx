import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { contextQuery, logPagesQuery } from "../../api/queries";
import { ErrorNotice, Loading } from "../../components/bits";
import { plural } from "../../lib/format";
import { narrowed, splitPipes } from "../../lib/logs";
import { resolve } from "../../state/span";
import { Detail } from "./logs/Detail";
import { Export } from "./logs/Export";
import { Facets } from "./logs/Facets";
import { Histogram } from "./logs/Histogram";
import { Lines, LineText } from "./logs/Lines";
import { SearchBar } from "./logs/Search";
import { useTail } from "./logs/tail";
import type { TabProps } from "./tab";

/** A line that a link names and that is not among those loaded. */
function Linked({ s, now, narrow }: Pick<TabProps, "s" | "now"> & { narrow: (field: string, value: string, out?: boolean) => void }) {
  const q = useQuery(contextQuery(s.line ?? "", 0));
  const l = q.data?.lines[q.data.index];
  if (q.error) return <ErrorNotice what="the line of this link" error={q.error} />;
  if (!l) return null;
  return (
    <section className="card" aria-label="The line of this link">
      <div className="logline plain" style={{ padding: "6px 12px" }}>
        <LineText l={l} now={now} />
      </div>
      <Detail key={l.id} l={l} s={s} now={now} narrow={narrow} />
    </section>
  );
}

/** Log lines: searched, counted, narrowed, followed. */
export function Logs({ s, go, span, now }: TabProps) {
  const query = s.query ?? "";
  const counts = splitPipes(query)[1] !== "";
  const live = s.tail === "1" && !counts;
  const [held, setHeld] = useState(false);
  const [away, setAway] = useState(false);
  const paused = held || away || !!s.line;
  const q = useInfiniteQuery({ ...logPagesQuery(query, span), enabled: !live });
  const tail = useTail(query, live, paused);
  const lines = useMemo(() => (live ? tail.lines : (q.data?.pages.flatMap((p) => p.lines) ?? [])), [live, tail.lines, q.data]);
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  const narrow = (field: string, value: string, out = false) => go({ ...s, query: narrowed(query, field, value, out) || undefined, line: undefined });
  const { fetchNextPage, hasNextPage, isFetching } = q;
  const end = useCallback(() => {
    if (!live && hasNextPage && !isFetching) void fetchNextPage();
  }, [live, hasNextPage, isFetching, fetchNextPage]);
  const top = useCallback((atTop: boolean) => setAway(!atTop), []);
  const send = (text: string) => {
    go({ ...s, query: text || undefined, line: undefined });
    if (text === query) void q.refetch();
  };
  const zoom = (f: number, t: number) => go({ ...s, from: String(f), to: String(t), tail: undefined, line: undefined });
  const error = live ? tail.error : q.error;
  return (
    <div className="stack">
      <SearchBar key={query} query={query} send={send} />
      {counts ? null : <Histogram query={query} span={span} from={from} to={to} now={now} zoom={zoom} narrow={narrow} />}
      <div className={counts ? "stack" : "logs"}>
        {counts ? null : <Facets query={query} span={span} narrow={narrow} />}
        <div className="stack">
          {s.line && !live && q.data && !isFetching && !lines.some((l) => l.id === s.line) ? <Linked s={s} now={now} narrow={narrow} /> : null}
          {error ? <ErrorNotice what="the log lines" error={error} retry={() => void q.refetch()} /> : null}
          <section className="card" aria-label="Found lines">
            <header className="row wrap logbar">
              <button type="button" className={`tag ${live ? "good" : ""}`} aria-pressed={live} disabled={counts} onClick={() => go({ ...s, tail: live ? undefined : "1", line: undefined, from: live ? s.from : undefined, to: undefined })}>
                live tail
              </button>
              {live ? (
                <>
                  <button
                    type="button" className={`tag ${paused ? "warn" : ""}`} aria-pressed={paused}
                    onClick={() => {
                      setHeld(!paused);
                      if (!paused) return;
                      document.querySelector(".loglist")?.scrollTo({ top: 0 });
                      if (s.line) go({ ...s, line: undefined });
                    }}
                  >
                    {paused ? "go on" : "pause"}
                  </button>
                  <span className="dim small" role="status">
                    {paused ? `paused, ${plural(tail.waiting, "new line")}` : "new lines appear on top"}
                    {tail.missed ? "; more come than can be shown" : ""}
                  </span>
                </>
              ) : (
                <span className="dim small" role="status">
                  {q.data ? (hasNextPage ? `the newest ${plural(lines.length, "line")}, more as you scroll` : counts && q.data.pages[0]?.more ? `the first ${plural(lines.length, "row")}` : plural(lines.length, counts ? "row" : "line")) : "…"}
                </span>
              )}
              <span className="grow" />
              <Export query={query} span={span} lines={lines} />
            </header>
            {!live && q.isPending ? (
              <div className="in">
                <Loading lines={6} height={18} />
              </div>
            ) : null}
            {live && lines.length === 0 ? <div className="empty">Waiting for lines that match.</div> : null}
            {!live && q.data && lines.length === 0 ? (
              <div className="empty">
                <b>No line matches in this time range</b>
                Widen the range, or take a word out of the query.
              </div>
            ) : null}
            {lines.length ? (
              <Lines
                lines={lines} now={now} open={s.line ?? ""} setOpen={(line) => go({ ...s, line: line || undefined })} end={end} top={top} busy={!live && isFetching}
                detail={(l) => <Detail key={l.time} l={l} s={s} now={now} narrow={narrow} />}
                foot={!live && isFetching && lines.length ? <div className="in dim small">Loading more…</div> : null}
              />
            ) : null}
          </section>
        </div>
      </div>
    </div>
  );
}
