// The frame around every page: bar, navigation, palette, shortcuts, theme.

import { Modal, useMantineColorScheme } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { statusQuery } from "../api/queries";
import { clock, duration } from "../lib/format";
import { persistently } from "../lib/retry";
import { useNow } from "../state/clock";
import { useKeys } from "../state/keys";
import { useLive } from "../state/live";
import { Glyph, Logo } from "./bits";
import { AutoIcon, HelpIcon, MoonIcon, SearchIcon, SunIcon } from "./Icons";
import { Login } from "./Login";

const Palette = lazy(() => persistently(() => import("./Palette")));

const shortcuts: [string[], string][] = [
  [["Ctrl", "K"], "Search everything"],
  [["g", "n"], "Go to Now"],
  [["g", "i"], "Go to incidents"],
  [["g", "e"], "Go to Explore"],
  [["g", "d"], "Go to detection"],
  [["g", "r"], "Go to the report"],
  [["j"], "Next in the list"],
  [["k"], "Previous in the list"],
  [["Enter"], "Open the selected"],
  [["/"], "Search in the page"],
  [["[", "]"], "Move the time range back or forth"],
  [["a"], "Acknowledge the incident"],
  [["c"], "Comment on the incident"],
  [["y"], "Copy a permanent link"],
  [["t"], "Switch theme: system, dark, light"],
  [["?"], "Show this list"],
];

function Shortcuts({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard shortcuts" centered size="sm">
      <table className="table">
        <tbody>
          {shortcuts.map(([keys, what]) => (
            <tr key={what}>
              <td>{what}</td>
              <td className="r">
                {keys.map((k) => (
                  <span key={k} className="kbd" style={{ marginLeft: 4 }}>
                    {k}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}

function LiveMark() {
  const live = useLive().state;
  const now = useNow();
  const { data, error } = useQuery(statusQuery);
  const stalled = data?.feed.state === "stalled";
  const [tone, word] =
    live === "lost" || (error && !data)
      ? (["warn", "Reconnecting"] as const)
      : stalled
        ? (["quiet", `No data for ${duration(now - data.feed.last_received_unix_ms)}`] as const)
        : live === "connecting"
          ? (["dim", "Connecting"] as const)
          : (["good", "Live"] as const);
  return (
    <span className="livestate" role="status" title="The page follows the server by itself">
      <Glyph tone={tone} />
      <span className={tone === "good" ? "desktop-only" : ""}>{word}</span>
    </span>
  );
}

/** The stream broke: what is on the page may be old, and a person must know since when. */
function LostBanner() {
  const live = useLive();
  if (live.state !== "lost") return null;
  return (
    <div className="notice warn lost" role="alert">
      <Glyph tone="warn" size={14} />
      <span>
        No connection to Norn since {clock(live.since, Date.now(), true)}. What you see may be old; trying again.
      </span>
    </div>
  );
}

const schemeWord = { auto: "system", dark: "dark", light: "light" } as const;

export function Shell() {
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const inDetection = useLocation({ select: (l) => /^\/(detection|backtest)/.test(l.pathname) });
  const open = useQuery(statusQuery).data?.incidents_open ?? 0;
  const nextScheme = () => setColorScheme(colorScheme === "auto" ? "dark" : colorScheme === "dark" ? "light" : "auto");
  useHotkeys([["mod+K", () => setPalette((p) => !p)]], []);
  useKeys({
    "?": () => setHelp(true),
    t: nextScheme,
    "g n": () => void navigate({ to: "/" }),
    "g i": () => void navigate({ to: "/incidents", search: {} }),
    "g e": () => void navigate({ to: "/explore", search: {} }),
    "g r": () => void navigate({ to: "/report", search: {} }),
    "g d": () => void navigate({ to: "/detection", search: {} }),
    "/": () => {
      const field = document.querySelector<HTMLInputElement>("[data-search]");
      if (field) field.focus();
      else setPalette(true);
    },
    y: () => void navigator.clipboard?.writeText(location.href),
  });
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="bar">
        <Link to="/" className="brand" aria-label="Norn, to Now">
          <Logo />
          Norn
        </Link>
        <nav className="nav" aria-label="Main">
          <Link to="/" activeOptions={{ exact: true }}>
            Now {open > 0 ? <span className="pill" aria-label={`${open} open incidents`}>{open}</span> : null}
          </Link>
          <Link to="/incidents" search={{}} activeOptions={{ includeSearch: false }}>
            Incidents
          </Link>
          <Link to="/explore" search={{}} activeOptions={{ includeSearch: false }}>
            Explore
          </Link>
          <Link to="/detection" search={{}} activeOptions={{ includeSearch: false }} data-status={inDetection ? "active" : undefined}>
            Detection
          </Link>
          <Link to="/report" search={{}} activeOptions={{ includeSearch: false }}>
            Report
          </Link>
        </nav>
        <span className="grow desktop-only" />
        <LiveMark />
        <button type="button" className="searchbox" onClick={() => setPalette(true)}>
          <span className="sr-only mobile-only">Search</span>
          <SearchIcon />
          <span className="grow desktop-only" style={{ textAlign: "left" }}>
            Search
          </span>
          <span className="kbd desktop-only">Ctrl K</span>
        </button>
        <button type="button" className="iconbtn" onClick={nextScheme} aria-label={`Theme: ${schemeWord[colorScheme]}. Switch`} title={`Theme: ${schemeWord[colorScheme]} (t)`}>
          {colorScheme === "auto" ? <AutoIcon /> : colorScheme === "dark" ? <MoonIcon /> : <SunIcon />}
        </button>
        <button type="button" className="iconbtn desktop-only" onClick={() => setHelp(true)} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)">
          <HelpIcon />
        </button>
      </header>
      <main id="main" tabIndex={-1} style={{ outline: "none" }}>
        <LostBanner />
        <Outlet />
      </main>
      {palette ? (
        <Suspense fallback={null}>
          <Palette opened onClose={() => setPalette(false)} toggleTheme={nextScheme} showHelp={() => setHelp(true)} />
        </Suspense>
      ) : null}
      <Shortcuts opened={help} onClose={() => setHelp(false)} />
      <Login />
    </>
  );
}
