// Drives the console of a running demo in real headless Chromium.
//   NORN_URL          address of the console (needed)
//   NORN_E2E_TRUTH    entities at fault, "kind/name,kind/name" (database/orders-db)
//   NORN_E2E_OUT      folder for screenshots (../test/out/e2e)
//   NORN_E2E_WAIT_S   how long to wait for the incident that names the fault (300)
//   NORN_E2E_LIMIT_S  how long the whole test may take (900)
//   NORN_E2E_ONLY     only these parts, comma-separated (for development)
//   CHROMIUM          the browser (/usr/bin/chromium)
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { detection } from "./detection.mjs";
import { explore } from "./explore.mjs";
import { incident } from "./incident.mjs";
import { keys } from "./keys.mjs";
import { logs } from "./logs.mjs";
import { looks } from "./looks.mjs";
import { now } from "./now.mjs";
import { cable } from "./proxy.mjs";
import { traces } from "./traces.mjs";
import { trouble } from "./trouble.mjs";

const parts = { now, incident, explore, logs, traces, detection, keys, trouble, looks };

const norn = process.env.NORN_URL;
if (!norn) throw new Error("set NORN_URL to the address of a running norn demo");
const limit = Number(process.env.NORN_E2E_LIMIT_S ?? 900);
const out = process.env.NORN_E2E_OUT ?? fileURLToPath(new URL("../../test/out/e2e", import.meta.url));
const only = (process.env.NORN_E2E_ONLY ?? Object.keys(parts).join(",")).split(",");
mkdirSync(out, { recursive: true });

const profile = mkdtempSync(join(tmpdir(), "norn-e2e-"));
let doing = "start the browser";
let browser;
let late = false;
const overtime = setTimeout(async () => {
  late = true;
  console.error(`the browser test took longer than ${limit} s (NORN_E2E_LIMIT_S) and was ended while it tried: ${doing}`);
  await Promise.race([browser?.close(), new Promise((done) => setTimeout(done, 5000))]); // it may hang as well
  forget();
  process.exit(1);
}, limit * 1000);

/** Removes the browser's profile; what still writes there does not matter. */
function forget() {
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  } catch (e) {
    console.error(`cannot remove ${profile}: ${e.message}`);
  }
}

const wire = await cable(norn);
browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1440, height: 900 },
  colorScheme: "dark",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(20_000);

// What the browser complains of fails the test, except where a part of the
// test causes the trouble itself.
const problems = [];
let forgiven = false;
page.on("pageerror", (e) => problems.push(`script error: ${e.message}`));
page.on("console", (m) => m.type() === "error" && !forgiven && problems.push(`console: ${m.text()} (${m.location().url})`));

const truth = (process.env.NORN_E2E_TRUTH ?? "database/orders-db").split(",").map((e) => e.slice(e.indexOf("/") + 1));

const t = {
  page,
  wire,
  base: wire.url,
  truth,
  isTruth: new RegExp(`^(${truth.join("|")})$`), // the name of an entity at fault, and nothing else
  // The demo's services: what is on the page must be theirs.
  shop: ["frontend", "catalog", "cart", "pricing", "orders", "inventory", "payment", "shipping", "recommendations", "email-worker"],
  waitMs: Number(process.env.NORN_E2E_WAIT_S ?? 300) * 1000,
  step: (name) => {
    doing = name;
    console.log(`- ${name}`);
  },
  shot: (name, fullPage = true) => page.screenshot({ path: join(out, `${name}.png`), fullPage }),
  /** Asks Norn directly, not through the cable. */
  api: async (path, body, method = "POST") => {
    const r = await fetch(`${norn}/api/v1/${path}`, body ? { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {});
    if (!r.ok) throw new Error(`${path}: HTTP ${r.status} ${await r.text()}`);
    return r.json();
  },
  forgive: async (run) => {
    forgiven = true;
    try {
      await run();
    } finally {
      await page.waitForTimeout(200); // messages that are still on their way
      forgiven = false;
    }
  },
};

try {
  for (const name of only) {
    if (!parts[name]) throw new Error(`NORN_E2E_ONLY: no part ${name}, only ${Object.keys(parts)}`);
    await parts[name](t);
    if (problems.length) throw new Error(`the browser reports errors in "${name}":\n${problems.join("\n")}`);
  }
  console.log("console: ok");
} catch (e) {
  if (late) await new Promise(() => undefined); // closing the browser broke it off; that has been said
  await t.shot("failed").catch(() => undefined);
  console.error(`failed while it tried: ${doing} (${page.url()}); see ${join(out, "failed.png")}`);
  if (problems.length) console.error(problems.join("\n"));
  throw e;
} finally {
  clearTimeout(overtime);
  await browser.close();
  wire.close();
  forget();
}
