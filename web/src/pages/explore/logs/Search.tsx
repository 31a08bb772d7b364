import { useState, type FormEvent } from "react";
import { recentQueries, remember } from "../../../lib/logs";

/** Queries that are wanted most often, one click away. */
const quick: [string, string][] = [
  ["everything", ""],
  ["errors", "severity:in(error,fatal)"],
  ["warnings and errors", "severity:in(warn,error,fatal)"],
];

const help: [string, string][] = [
  ["timeout", "the word, in the message"],
  ['"connection refused"', "the words in this order"],
  ["conn*", "words that begin so"],
  ["service:=orders", "a field is exactly this"],
  ["severity:in(error,fatal)", "one of several"],
  ["timeout !service:=cart", "but not this"],
  ["refused or timeout", "one or the other"],
  ["duration_ms:>500", "a number in a field"],
  ['_msg:~"code=5\\\\d\\\\d"', "a regular expression"],
  ["error | stats by (service) count() lines", "counted by service"],
];

function Help({ use }: { use: (q: string) => void }) {
  return (
    <section className="card" aria-label="Help for queries">
      <div className="in helpgrid">
        {help.map(([q, what]) => (
          <div key={q} className="row">
            <button type="button" className="tag mono" onClick={() => use(q)}>
              {q}
            </button>
            <span className="dim small">{what}</span>
          </div>
        ))}
        <span className="dim small">Words side by side must all be there. A click on a value below narrows the query; “not” takes it out.</span>
      </div>
    </section>
  );
}

/** The query: typed, chosen from the last ones, or from the usual ones. */
export function SearchBar({ query, send }: { query: string; send: (q: string) => void }) {
  const [text, setText] = useState(query);
  const [helps, setHelps] = useState(false);
  const [recent] = useState(recentQueries);
  const run = (q: string) => {
    setText(q);
    remember(q.trim());
    send(q.trim());
  };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    run(text);
  };
  return (
    <>
      <form className="row" onSubmit={submit}>
        <input
          className="field wide mono" data-search placeholder="LogsQL, for example: error service:=orders" aria-label="LogsQL query" value={text} list="recent-queries" autoComplete="off" spellCheck={false}
          onChange={(e) => setText(e.target.value)}
        />
        <datalist id="recent-queries">
          {recent.map((q) => (
            <option key={q} value={q} />
          ))}
        </datalist>
        <button className="btn">Search</button>
        <button type="button" className="btn" aria-expanded={helps} aria-label="Help for queries" title="How to write a query" onClick={() => setHelps(!helps)}>
          ?
        </button>
      </form>
      {helps ? <Help use={run} /> : null}
      <div className="row wrap" role="group" aria-label="Common queries">
        {quick.map(([name, q]) => (
          <button key={name} type="button" className={`tag ${query === q ? "accent" : ""}`} aria-pressed={query === q} onClick={() => run(q)}>
            {name}
          </button>
        ))}
        {recent.filter((q) => q !== query && !quick.some(([, x]) => x === q)).slice(0, 3).map((q) => (
          <button key={q} type="button" className="tag mono desktop-only" style={{ maxWidth: 260 }} title={`Recent query: ${q}`} onClick={() => run(q)}>
            <span className="ellipsis">{q}</span>
          </button>
        ))}
      </div>
    </>
  );
}
