// Lines in a frame that scrolls: only those in sight are in the page, so that
// ten thousand of them are no heavier than fifty.

import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { flushSync } from "react-dom";
import type { LogLine } from "../../../api/client";
import { clock } from "../../../lib/format";

const severe = /error|fatal/;
const spare = 8; // rows beyond each edge

/** One line; of a query that counts, the fields take the message's place. */
export function LineText({ l, now }: { l: LogLine; now: number }) {
  const tone = severe.test(l.severity) ? "tone-bad" : l.severity === "warn" ? "tone-warn" : "dim";
  const rest = () =>
    Object.entries(l.fields)
      .map(([k, v]) => `${k}=${v}`)
      .join(" ");
  return (
    <>
      <span className="dim num" title={l.time}>{l.time ? clock(Date.parse(l.time), now, true) : ""}</span>
      <span className={tone}>{l.severity}</span>
      <span className="dim ellipsis svc">{l.service}</span>
      <span className="msg">{l.message || rest()}</span>
    </>
  );
}

/** Rows of a query that counts have no id. */
const keyOf = (l: LogLine) => l.id || JSON.stringify(l.fields);

interface Props {
  lines: LogLine[];
  now: number;
  open: string; // key of the open line, "" for none
  setOpen: (key: string) => void;
  detail: (l: LogLine) => ReactNode;
  end: () => void; // called when the last line comes into sight
  top?: (atTop: boolean) => void; // told when the first line goes out of sight or comes back
  busy: boolean;
  foot?: ReactNode;
}

/** Where the frame's window is. */
function useWindow() {
  const frame = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const el = frame.current;
    if (!el) return;
    const read = () => setAt((w) => (w.top === el.scrollTop && w.height === el.clientHeight ? w : { top: el.scrollTop, height: el.clientHeight }));
    const watch = new ResizeObserver(read);
    watch.observe(el);
    // At once: a frame without lines would flicker.
    const scrolled = () => flushSync(read);
    el.addEventListener("scroll", scrolled, { passive: true });
    read();
    return () => {
      watch.disconnect();
      el.removeEventListener("scroll", scrolled);
    };
  }, []);
  return { frame, at };
}

/** The open line's fields, whose height the list has to know. */
function Measured({ children, set }: { children: ReactNode; set: (height: number) => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const el = ref.current;
    if (!el) return;
    const watch = new ResizeObserver(() => set(el.offsetHeight));
    watch.observe(el);
    set(el.offsetHeight);
    return () => watch.disconnect();
  }, [set]);
  return <div ref={ref}>{children}</div>;
}

export function Lines({ lines, now, open, setOpen, detail, end, top, busy, foot }: Props) {
  const phone = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const rowH = phone ? 46 : 24;
  const { frame, at } = useWindow();
  const [detailH, setDetailH] = useState(0);
  const openAt = open ? lines.findIndex((l) => keyOf(l) === open) : -1;
  const extra = openAt >= 0 ? detailH : 0;
  const yOf = (i: number) => i * rowH + (openAt >= 0 && i > openAt ? extra : 0);
  const indexAt = (y: number) => (openAt < 0 || y <= (openAt + 1) * rowH ? Math.floor(y / rowH) : Math.max(openAt, Math.floor((y - extra) / rowH)));
  const begin = Math.max(0, indexAt(at.top) - spare);
  const stop = Math.min(lines.length, indexAt(at.top + at.height) + 1 + spare);
  const total = lines.length * rowH + extra;
  const seesEnd = stop >= lines.length - 50;
  useEffect(() => {
    if (seesEnd && lines.length > 0) end();
  }, [seesEnd, lines.length, end]);
  const atTop = at.top < rowH;
  useEffect(() => top?.(atTop), [atTop, top]);
  // A permalink leads to its line.
  const shown = useRef("");
  useEffect(() => {
    if (openAt < 0 || shown.current === open) return;
    shown.current = open;
    const el = frame.current;
    const y = openAt * rowH;
    if (el && (y < el.scrollTop || y > el.scrollTop + el.clientHeight - 3 * rowH)) el.scrollTop = Math.max(0, y - 3 * rowH);
  }, [openAt, open, rowH, frame]);
  return (
    <div className="loglist" ref={frame} tabIndex={0} role="region" aria-label="Log lines" aria-busy={busy}>
      <div style={{ height: total, position: "relative" }}>
        {lines.slice(begin, stop).map((l, n) => {
          const i = begin + n;
          const isOpen = i === openAt;
          return (
            <div key={i} className="logrow" style={{ transform: `translateY(${yOf(i)}px)` }} data-open={isOpen || undefined}>
              <button
                type="button" className="logline" style={{ height: rowH }} aria-expanded={isOpen}
                onClick={() => {
                  shown.current = keyOf(l);
                  setOpen(isOpen ? "" : keyOf(l));
                }}
              >
                <LineText l={l} now={now} />
              </button>
              {isOpen ? <Measured set={setDetailH}>{detail(l)}</Measured> : null}
            </div>
          );
        })}
      </div>
      {foot}
    </div>
  );
}
