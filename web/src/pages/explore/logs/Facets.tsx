import { useQuery } from "@tanstack/react-query";
import { useMediaQuery } from "@mantine/hooks";
import type { Schemas } from "../../../api/client";
import { facetsQuery } from "../../../api/queries";
import { compact } from "../../../lib/format";
import { narrows } from "../../../lib/logs";

type Facet = Schemas["Facet"];

/** Shown first, in this order. */
const first = ["service", "severity", "instance", "log.logger", "http.response.status_code", "route", "url.template"];
/** Says nothing, or the same as another one. */
const hidden = new Set(["_msg", "_time", "_stream", "_stream_id", "severity_number", "template", "trace_id", "span_id", "service.name", "service.instance.id"]);

const place = (f: Facet) => {
  const i = first.indexOf(f.field);
  return (f.values.length > 1 ? 0 : 1000) + (i < 0 ? 100 : i);
};

interface Props {
  query: string;
  span: { from: string; to: string };
  narrow: (field: string, value: string, out?: boolean) => void;
}

function Values({ f, query, narrow }: { f: Facet } & Omit<Props, "span">) {
  const most = Math.max(1, ...f.values.map((v) => v.count));
  return (
    <ul className="list">
      {f.values.map((v) => (
        <li key={v.value} className="facetrow">
          <button type="button" className="facetvalue" aria-pressed={narrows(query, f.field, v.value)} title={`Only ${f.field} = ${v.value}`} onClick={() => narrow(f.field, v.value)}>
            <span className="facetbar" style={{ width: `${(v.count / most) * 100}%` }} aria-hidden="true" />
            <span className="ellipsis grow">{v.value}</span>
            <span className="num dim">{compact(v.count)}</span>
          </button>
          <button type="button" className="facetnot" aria-pressed={narrows(query, f.field, v.value, true)} aria-label={`Not ${f.field} = ${v.value}`} title="Leave these out" onClick={() => narrow(f.field, v.value, true)}>
            not
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The fields of the lines that match, with their commonest values and how often each came. */
export function Facets({ span, ...p }: Props) {
  const q = useQuery(facetsQuery(p.query, span));
  const narrowWindow = useMediaQuery("(max-width: 1080px)", false, { getInitialValueInEffect: false });
  const list = (q.data?.facets ?? []).filter((f) => !hidden.has(f.field)).sort((a, b) => place(a) - place(b) || a.field.localeCompare(b.field));
  return (
    <details className="card facets" open={!narrowWindow} key={String(narrowWindow)}>
      <summary>
        Fields <span className="faint">{list.length || ""}</span>
      </summary>
      <div className="facetlist" tabIndex={0} role="region" aria-label="Fields and their values">
        {q.error ? <div className="in dim small" role="alert">The fields could not be counted: {q.error.message}</div> : null}
        {q.data && list.length === 0 ? <div className="in dim small">No field has values that come again.</div> : null}
        {list.map((f) => (
          <details key={f.field} className="facet" open={f.values.length > 1 && place(f) < 1000}>
            <summary>
              <span className="ellipsis grow mono">{f.field}</span>
              <span className="faint num">{f.values.length === 1 ? "1 value" : f.values.length >= 10 ? "top 10" : f.values.length}</span>
            </summary>
            <Values f={f} {...p} />
          </details>
        ))}
      </div>
    </details>
  );
}
