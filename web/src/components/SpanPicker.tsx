// The time range: presets, exact times, and half-steps back and forth.

import { Button, Popover, SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { useNow } from "../state/clock";
import { useKeys } from "../state/keys";
import { label, resolve, shift, type SpanSearch } from "../state/span";
import { clock } from "../lib/format";
import { BackIcon, ForwardIcon } from "./Icons";

const presets = ["-15m", "-1h", "-3h", "-6h", "-24h", "-7d"];

const forInput = (ms: number) => {
  const d = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return d.toISOString().slice(0, 16);
};

export function SpanPicker({ span, fallback, onChange }: { span: SpanSearch; fallback: string; onChange: (s: SpanSearch) => void }) {
  const now = useNow(30_000);
  const full = { from: span.from ?? fallback, to: span.to ?? "now" };
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const name = label(span, fallback) || `${clock(resolve(full.from, now), now)} to ${clock(resolve(full.to, now), now)}`;
  const move = (d: 1 | -1) => onChange(shift(full, now, d));
  useKeys({ "[": () => move(-1), "]": () => move(1) });
  const toggle = () => {
    setFrom(forInput(resolve(full.from, now)));
    setTo(forInput(resolve(full.to, now)));
    setOpen(!open);
  };
  const valid = from && to && new Date(from) < new Date(to);
  return (
    <div className="row" style={{ gap: 2 }}>
      <button type="button" className="iconbtn" onClick={() => move(-1)} aria-label="Earlier" title="Earlier ( [ )">
        <BackIcon />
      </button>
      <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" trapFocus>
        <Popover.Target>
          <button type="button" className="btn num" onClick={toggle} aria-expanded={open}>
            {name}
          </button>
        </Popover.Target>
        <Popover.Dropdown>
          <div className="stack" style={{ width: 290 }}>
            <SegmentedControl
              size="xs"
              fullWidth
              aria-label="Time range"
              value={full.to === "now" ? full.from : ""}
              data={presets.map((p) => ({ value: p, label: p.slice(1) }))}
              onChange={(v) => {
                onChange({ from: v, to: undefined });
                setOpen(false);
              }}
            />
            <label className="stack" style={{ gap: 2 }}>
              <span className="dim">From (local time)</span>
              <input className="datein" type="datetime-local" value={from} onChange={(e) => setFrom(e.target.value)} />
            </label>
            <label className="stack" style={{ gap: 2 }}>
              <span className="dim">To</span>
              <input className="datein" type="datetime-local" value={to} onChange={(e) => setTo(e.target.value)} />
            </label>
            <Button
              size="xs"
              disabled={!valid}
              onClick={() => {
                onChange({ from: String(new Date(from).getTime()), to: String(new Date(to).getTime()) });
                setOpen(false);
              }}
            >
              Show
            </Button>
          </div>
        </Popover.Dropdown>
      </Popover>
      <button type="button" className="iconbtn" onClick={() => move(1)} aria-label="Later" title="Later ( ] )">
        <ForwardIcon />
      </button>
    </div>
  );
}
