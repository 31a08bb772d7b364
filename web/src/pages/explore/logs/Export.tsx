import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { logPagesQuery, type Span } from "../../../api/queries";
import { plural } from "../../../lib/format";
import { toCSV, toNDJSON } from "../../../lib/logs";

const most = 50; // pages

function save(text: string, type: string, name: string) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}

/** The lines that match as a file: the newest 50,000 at most, which is said. */
export function Export({ query, span }: { query: string; span: Span }) {
  const client = useQueryClient();
  const [says, setSays] = useState("");
  const run = async (csv: boolean) => {
    setSays("collecting lines…");
    try {
      const { pages } = await client.fetchInfiniteQuery({ ...logPagesQuery(query, span), pages: most });
      const lines = pages.flatMap((p) => p.lines);
      const stamp = new Date().toISOString().replace(/[-:]/g, "").slice(0, 15);
      save(csv ? toCSV(lines) : toNDJSON(lines), csv ? "text/csv" : "application/x-ndjson", `logs-${stamp}.${csv ? "csv" : "ndjson"}`);
      setSays(`${plural(lines.length, "line")} exported${pages.at(-1)?.next ? ", the newest; narrow the range for the others" : ""}`);
    } catch (e) {
      setSays(`not exported: ${e instanceof Error ? e.message : String(e)}`);
    }
  };
  return (
    <span className="row wrap">
      {says ? <span className="dim small" role="status">{says}</span> : <span className="dim small desktop-only">export</span>}
      <button type="button" className="tag" aria-label="Export as NDJSON" onClick={() => void run(false)}>
        NDJSON
      </button>
      <button type="button" className="tag" aria-label="Export as CSV" onClick={() => void run(true)}>
        CSV
      </button>
    </span>
  );
}
