// What the editors of rules, mutes and custom metrics share: how a change is
// saved, tried on history, refused.

import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, type FormEvent, type ReactNode } from "react";
import { ApiError, put as send, type Schemas } from "../../api/client";
import { detectionQuery } from "../../api/queries";
import { ErrorNotice } from "../../components/bits";
import { faultsOf, listWord, placeOf, put, same, type Config, type CustomMetric, type List, type Mute, type Rule } from "../../lib/detection";
import { propose } from "../../state/proposal";

export type Settings = Schemas["DetectionSettings"];
type Item<L extends List> = L extends "rules" ? Rule : L extends "mutes" ? Mute : CustomMetric;

/** One change: the entry of this name becomes item; null takes it away, "" adds one. */
export interface Edit<L extends List> {
  name: string;
  was?: Item<L> | undefined; // as it was when the editor opened
  item: Item<L> | null;
}

/** Stores one entry over what is stored now, unless somebody else changed it meanwhile. */
export function useSave<L extends List>(list: L, done?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ name, was, item }: Edit<L>) => {
      const now = await client.fetchQuery({ ...detectionQuery, staleTime: 0 });
      const present = (now.stored[list] as Item<L>[]).find((x) => x.name === name);
      if (was && !same(present, was)) throw new ApiError(409, `Somebody else ${present ? "changed" : "removed"} this ${listWord[list]} meanwhile. Close the editor to see how it is now.`);
      const stored = put(now.stored, list, name, item as never);
      return send("/api/v1/detection", { body: { revision: now.revision, ...stored } });
    },
    onSuccess: (fresh) => {
      client.setQueryData(["detection"], fresh);
      void client.invalidateQueries({ queryKey: ["muted"] });
      void client.invalidateQueries({ queryKey: ["series-detail"] });
      done?.();
    },
  });
}

/** Hands a change over to the backtest page instead of saving it. */
export function useTry<L extends List>(settings: Settings, list: L) {
  const navigate = useNavigate();
  return ({ name, item }: Edit<L>) => {
    const stored: Config = put(settings.stored, list, name, item as never);
    const verb = item === null ? "without" : name ? "changed:" : "new:";
    propose({ stored, what: `${listWord[list]} ${verb} ${item?.name ?? name}` });
    void navigate({ to: "/backtest", search: { draft: "1" } });
  };
}

/** What the server says of the entry that is being edited, by field; and what it says beside. */
export function refusal(error: Error | null, stored: Config, list: List, name: string): { at: Map<string, string>; rest: Error | null } {
  if (!(error instanceof ApiError)) return { at: new Map(), rest: error };
  const at = faultsOf(error.faults, list, placeOf(stored, list, name));
  const whole = at.get("");
  if (whole !== undefined && /\bname\b/.test(whole)) {
    at.delete("");
    at.set("name", whole);
  }
  return { at, rest: at.size > 0 ? null : error };
}

interface EditorProps {
  title: string;
  error: Error | null;
  whole?: string | undefined; // a fault of the entry as a whole
  saving: boolean;
  save: () => void;
  tryIt?: (() => void) | undefined;
  remove?: (() => void) | undefined;
  cancel: () => void;
  children: ReactNode;
}

export function Editor({ title, error, whole, saving, save, tryIt, remove, cancel, children }: EditorProps) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    box.current?.scrollIntoView({ block: "nearest" });
    box.current?.querySelector<HTMLElement>("input, textarea, select")?.focus({ preventScroll: true });
  }, []);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    save();
  };
  return (
    <section
      className="card editor" aria-label={title} ref={box}
      onKeyDown={(e) => {
        if (e.key === "Escape") cancel();
      }}
    >
      <header>
        <h2>{title}</h2>
      </header>
      <form className="in stack" onSubmit={submit} noValidate>
        {children}
        {whole ? (
          <div className="tone-bad" role="alert">
            {whole}
          </div>
        ) : null}
        {error ? <ErrorNotice verb="save" what="this" error={error} /> : null}
        <div className="row wrap">
          <Button size="xs" type="submit" loading={saving}>
            Save
          </Button>
          {tryIt ? (
            <Button size="xs" variant="default" onClick={tryIt}>
              Try on history
            </Button>
          ) : null}
          <Button size="xs" variant="default" onClick={cancel}>
            Cancel
          </Button>
          <span className="grow" />
          {remove ? (
            <Button size="xs" variant="default" onClick={remove} className="tone-bad">
              Remove
            </Button>
          ) : null}
        </div>
      </form>
    </section>
  );
}

/** Where an entry is kept: what the file says cannot be changed here. */
export function Origin({ file }: { file: boolean }) {
  return file ? (
    <span className="tag" title="Set in the configuration file, and changed there">
      file
    </span>
  ) : null;
}
