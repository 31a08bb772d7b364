import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Series } from "../../api/client";
import { changesQuery, seriesListQuery } from "../../api/queries";
import { EntityName, ErrorNotice, Glyph } from "../../components/bits";
import { ChartLegend, ExprCharts, SeriesChart } from "../../components/SeriesChart";
import { plural, value } from "../../lib/format";
import { seriesName } from "../../lib/names";
import { useListKeys } from "../../state/keys";
import { resolve } from "../../state/span";
import { Explain } from "../../components/Explain";
import type { TabProps } from "./tab";

const page = 100;
const more = 300;
const most = 1000; // of the API

function Row({ x, current, selected, open }: { x: Series; current: boolean; selected: boolean; open: () => void }) {
  const n = seriesName(x.name, x.labels);
  return (
    <button type="button" className="seriesrow" aria-current={current} data-selected={selected} onClick={open}>
      <div className="row">
        <Glyph tone={x.anomaly_id ? "bad" : "good"} />
        <span className="ellipsis grow" title={x.name}>
          {n.what}
          {n.which ? <span className="dim"> {n.which}</span> : null}
        </span>
        <span className="num dim">{value(x.last, x.unit)}</span>
      </div>
      <div className="row faint small" style={{ paddingLeft: 18 }}>
        <EntityName entity={x.entity} />
        {x.peer.name ? <span className="ellipsis">→ {x.peer.name}</span> : null}
        {x.instance.name && x.instance.name !== x.entity.name ? <span className="ellipsis">{x.instance.name}</span> : null}
        {x.anomaly_id ? <span className="tone-bad">deviates</span> : null}
      </div>
    </button>
  );
}

export function Metrics({ s, go, span, now }: TabProps) {
  const [q, setQ] = useState(s.q ?? "");
  const [slow] = useDebouncedValue(q, 200);
  const [limit, setLimit] = useState(page);
  const found = useQuery(seriesListQuery(slow, s.entity ?? "", s.signal ?? "", limit));
  const list = found.data?.series ?? [];
  const open = (id: string) => go({ ...s, series: id, expr: undefined });
  const selected = useListKeys(list.length, (i) => open(list[i]!.id));
  const [from, to] = [resolve(span.from, now), resolve(span.to, now)];
  const changes = (useQuery(changesQuery(span)).data?.changes ?? []).map((c) => ({ at: c.time_unix_ms, text: c.title }));
  const zoom = (f: number, t: number) => go({ ...s, from: String(f), to: String(t) });
  const shared = { span, from, to, changes, onZoom: zoom, syncKey: "explore" };
  const shown = s.series ? [s.series] : s.expr ? [] : list.slice(0, 6).map((x) => x.id);
  return (
    <div className="explore">
      <section className="card" aria-label="Series">
        <div className="in stack" style={{ padding: 10 }}>
          <input
            className="field wide" data-search placeholder="Words in name, label or entity" aria-label="Search series" value={q}
            onChange={(e) => {
              setQ(e.target.value);
              setLimit(page);
              go({ ...s, q: e.target.value || undefined });
            }}
          />
          {s.entity ? (
            <button type="button" className="tag accent" style={{ cursor: "pointer", alignSelf: "start" }} onClick={() => go({ ...s, entity: undefined, series: undefined })}>
              <span className="ellipsis">{s.entity}</span> ×<span className="sr-only">remove filter</span>
            </button>
          ) : null}
          <span className="dim">
            {found.data ? plural(found.data.total, "series", "series") : "…"}
            {found.data && found.data.total > list.length ? `, the first ${list.length} are listed` : ""}
          </span>
        </div>
        {found.error ? (
          <div className="in">
            <ErrorNotice what="the series" error={found.error} retry={() => void found.refetch()} />
          </div>
        ) : null}
        <div className="serieslist" tabIndex={-1}>
          {list.map((x, i) => (
            <Row key={x.id} x={x} current={x.id === s.series} selected={i === selected} open={() => open(x.id)} />
          ))}
          {found.data && found.data.total > list.length ? (
            limit < most ? (
              <button type="button" className="seriesrow dim" onClick={() => setLimit(Math.min(most, limit + more))}>
                Show {Math.min(more, found.data.total - list.length, most - limit)} more
              </button>
            ) : (
              <div className="in dim small" style={{ padding: "8px 12px" }}>Narrow the search to see the others.</div>
            )
          ) : null}
          {found.data && list.length === 0 ? <div className="empty">No watched series matches.</div> : null}
        </div>
      </section>
      <div className="stack">
        <ChartLegend onset={false} />
        {s.expr ? <ExprCharts expr={s.expr} {...shared} height={220} /> : null}
        {shown.map((id) => (
          <SeriesChart key={id} id={id} {...shared} link={!s.series} height={s.series ? 280 : 130} />
        ))}
        {s.series ? <Explain id={s.series} /> : null}
      </div>
    </div>
  );
}
