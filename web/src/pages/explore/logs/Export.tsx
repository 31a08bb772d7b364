import type { LogLine } from "../../../api/client";
import { exportURL, type Span } from "../../../api/queries";

/** All lines that match as a file; a table has a column for each field that the lines on the page have. */
export function Export({ query, span, lines }: { query: string; span: Span; lines: LogLine[] }) {
  const fields = [...new Set(lines.slice(0, 500).flatMap((l) => Object.keys(l.fields)))].filter((f) => f !== "instance" && !f.includes(",")).sort().slice(0, 50);
  return (
    <span className="row">
      <span className="dim small desktop-only">export</span>
      {(["ndjson", "csv"] as const).map((format) => (
        <a key={format} className="tag" href={exportURL(query, span, format, fields)} download aria-label={`Export as ${format.toUpperCase()}`}>
          {format.toUpperCase()}
        </a>
      ))}
    </span>
  );
}
