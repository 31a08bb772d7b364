import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { incidentsQuery } from "../api/queries";
import { ErrorNotice, Loading, Stale } from "../components/bits";
import { IncidentRow } from "../components/IncidentRow";
import { useNow } from "../state/clock";
import { useListKeys } from "../state/keys";

const filters = [
  { value: "", label: "All" },
  { value: "active", label: "Open" },
  { value: "resolved", label: "Resolved" },
];

export function IncidentsPage() {
  const { state = "" } = useSearch({ from: "/incidents" });
  const navigate = useNavigate();
  const now = useNow();
  const q = useQuery(incidentsQuery(state, "onset"));
  const words = useSearch({ from: "/incidents" }).q ?? "";
  const all = q.data?.incidents ?? [];
  const list = all.filter((i) => `${i.title} ${i.sentence} ${i.root.name}`.toLowerCase().includes(words.toLowerCase()));
  const selected = useListKeys(list.length, (i) => void navigate({ to: "/incidents/$id", params: { id: list[i]!.id }, search: {} }));
  useEffect(() => {
    document.title = "Incidents · Norn";
  }, []);
  return (
    <div className="page">
      <div className="pagehead">
        <h1>Incidents</h1>
        <Link to="/backtest" search={{}}>Backtest a change</Link>
        <div className="row wrap">
          <input
            className="field" data-search placeholder="Filter by words" aria-label="Filter by words" value={words}
            onChange={(e) => void navigate({ to: "/incidents", search: { state: state || undefined, q: e.target.value || undefined }, replace: true })}
          />
          <SegmentedControl size="xs" aria-label="State" value={state} data={filters} onChange={(v) => void navigate({ to: "/incidents", search: { state: v || undefined, q: words || undefined }, replace: true })} />
        </div>
      </div>
      <Stale what="the incidents" error={q.data ? q.error : null} at={q.dataUpdatedAt} now={now} />
      <section className="card" aria-label="Incidents">
        {q.isPending ? (
          <div className="in"><Loading lines={5} height={56} /></div>
        ) : q.error && !q.data ? (
          <div className="in"><ErrorNotice what="the incidents" error={q.error} retry={() => void q.refetch()} /></div>
        ) : list.length === 0 ? (
          <div className="empty">
            <b>{words || state ? "None matches" : "No incident so far"}</b>
            {words || state ? "Widen the filter to see others." : "When something breaks, it appears here and on Now, and stays."}
          </div>
        ) : (
          <div className="incidents">
            {list.map((i, n) => (
              <IncidentRow key={i.id} incident={i} now={now} selected={n === selected} />
            ))}
          </div>
        )}
      </section>
      {all.length >= 200 ? <div className="dim">The newest 200 are shown.</div> : null}
    </div>
  );
}
