// What a person does to an incident: acknowledge, resolve, comment.

import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type FormEvent } from "react";
import { post, type Incident } from "../api/client";
import { useKeys } from "../state/keys";
import { ErrorNotice } from "./bits";
import { LinkIcon } from "./Icons";

type Verb = "acknowledge" | "resolve" | "comment";

const whoKey = "norn-who";

function savedName(): string {
  try {
    return localStorage.getItem(whoKey) ?? "";
  } catch {
    return "";
  }
}

export function Actions({ incident }: { incident: Incident }) {
  const client = useQueryClient();
  const [who, setWho] = useState(savedName);
  const [text, setText] = useState("");
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const act = useMutation({
    mutationFn: (verb: Verb) => post(`/api/v1/incidents/{id}/${verb}`, { path: { id: incident.id }, body: { who, text } }),
    onSuccess: (fresh) => {
      setText("");
      client.setQueryData(["incident", incident.id], fresh);
      void client.invalidateQueries({ queryKey: ["incidents"] });
      void client.invalidateQueries({ queryKey: ["status"] });
    },
  });
  const run = (verb: Verb) => {
    try {
      localStorage.setItem(whoKey, who);
    } catch {
      // Storage is off: the name is asked again next time.
    }
    act.mutate(verb);
  };
  const mark = useMutation({
    mutationFn: (m: "real" | "noise" | "none") => post("/api/v1/incidents/{id}/mark", { path: { id: incident.id }, body: { who, mark: m } }),
    onSuccess: (fresh) => {
      client.setQueryData(["incident", incident.id], fresh);
      void client.invalidateQueries({ queryKey: ["incidents"] });
    },
  });
  const closed = incident.state === "resolved" || !!incident.merged_into;
  const canAck = incident.state === "open" && !closed;
  useKeys({
    a: () => {
      if (canAck && !act.isPending) run("acknowledge");
    },
    c: () => field.current?.focus(),
  });
  const comment = (e: FormEvent) => {
    e.preventDefault();
    if (text.trim()) run("comment");
  };
  const copy = async () => {
    await navigator.clipboard?.writeText(location.href);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div className="stack">
      <form className="row wrap" onSubmit={comment}>
        {canAck ? (
          <Button size="xs" onClick={() => run("acknowledge")} loading={act.isPending && act.variables === "acknowledge"}>
            Acknowledge
          </Button>
        ) : null}
        {!closed ? (
          <Button size="xs" variant="default" onClick={() => run("resolve")} loading={act.isPending && act.variables === "resolve"}>
            Resolve
          </Button>
        ) : null}
        <input className="field" style={{ width: 110 }} placeholder="Your name" aria-label="Your name" value={who} onChange={(e) => setWho(e.target.value)} maxLength={200} />
        <input ref={field} className="field grow" style={{ minWidth: 140, maxWidth: 520 }} placeholder="Comment or note" aria-label="Comment" value={text} onChange={(e) => setText(e.target.value)} maxLength={10000} />
        <Button size="xs" variant="default" type="submit" disabled={!text.trim()} loading={act.isPending && act.variables === "comment"}>
          Comment
        </Button>
        <button type="button" className="iconbtn" onClick={() => void copy()} aria-label="Copy a permanent link" title="Copy a permanent link (y)">
          <LinkIcon />
        </button>
        <span className="dim" role="status">
          {copied ? "Copied" : ""}
        </span>
      </form>
      <div className="row wrap" role="group" aria-label="Was it real?">
        <span className="dim">Was it real? Backtests are tried on it.</span>
        {(["real", "noise"] as const).map((m) => (
          <Button key={m} size="compact-xs" variant={incident.mark === m ? "filled" : "default"} aria-pressed={incident.mark === m} loading={mark.isPending && mark.variables === m} onClick={() => mark.mutate(incident.mark === m ? "none" : m)}>
            {m === "real" ? "Real" : "Noise"}
          </Button>
        ))}
      </div>
      {mark.error ? <ErrorNotice verb="mark" what="this incident" error={mark.error} /> : null}
      {act.error ? <ErrorNotice verb={act.variables === "comment" ? "add" : act.variables} what={act.variables === "comment" ? "the comment" : "this incident"} error={act.error} /> : null}
    </div>
  );
}
