import { useQuery } from "@tanstack/react-query";
import { seriesQuery } from "../../api/queries";
import { ErrorNotice, Loading, Mark } from "../../components/bits";
import { compact, duration, number, value } from "../../lib/format";

/** How one series is judged, and what it does now. */
export function Explain({ id }: { id: string }) {
  const q = useQuery(seriesQuery(id));
  if (q.error) return <ErrorNotice what="how this series is judged" error={q.error} />;
  const e = q.data?.explanation;
  if (!e) return <Loading lines={1} height={90} />;
  const unit = q.data?.series.unit ?? "";
  return (
    <section className="card in stack explain" aria-label="How this series is judged">
      <div className="row wrap">
        {e.anomaly_id ? (
          <Mark tone="bad">deviates now</Mark>
        ) : e.phase === "watching" ? (
          <Mark tone="good">as usual</Mark>
        ) : (
          <Mark tone="quiet">{e.phase.replace("_", " ")}</Mark>
        )}
        <span className="dim">
          <b>{value(e.last, unit)}</b>, expected {value(e.low, unit)} to {value(e.high, unit)} · p {number(e.p_value)} · {compact(e.points)} points
          {e.interval_ms ? ` every ${duration(e.interval_ms)}` : ""}
        </span>
      </div>
      <p>{e.sentence}</p>
      <table className="table">
        <tbody>
          {(e.facts ?? []).map((f) => (
            <tr key={`f${f.name}`}>
              <td className="dim">{f.name}</td>
              <td>{f.text}</td>
            </tr>
          ))}
          {(e.members ?? []).map((m) => (
            <tr key={`m${m.name}`}>
              <td className="dim">detector {m.name}</td>
              <td>
                {m.text}{" "}
                <span className="faint">
                  score {number(m.score)}, p {number(m.p_value)}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <div className="mono dim wrap-anywhere">{q.data?.series.expr}</div>
    </section>
  );
}
