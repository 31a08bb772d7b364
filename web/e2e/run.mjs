// Drives the console of a running norn in real headless Chromium.
//   NORN_URL=http://127.0.0.1:9090 npm run e2e
// NORN_WAIT_S: how long to wait for the first incident (default 480).
// NORN_OUT: where screenshots go (default ../test/out/screens). CHROMIUM: the browser.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const base = process.env.NORN_URL;
if (!base) throw new Error("set NORN_URL to the address of a running norn");
const waitMs = Number(process.env.NORN_WAIT_S ?? 480) * 1000;
const out = process.env.NORN_OUT ?? fileURLToPath(new URL("../../test/out/screens", import.meta.url));
mkdirSync(out, { recursive: true });

const profile = mkdtempSync(join(tmpdir(), "norn-e2e-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1440, height: 900 },
  colorScheme: "dark",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(20_000);
const problems = [];
page.on("pageerror", (e) => problems.push(`script error: ${e.message}`));
page.on("console", (m) => m.type() === "error" && problems.push(`console: ${m.text()}`));

const step = (name) => console.log(`- ${name}`);
const shot = (name, fullPage = true) => page.screenshot({ path: join(out, `${name}.png`), fullPage });
const narrow = async () => {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${page.url()} scrolls sideways by ${over} px at 360 px`);
};

/** Counts canvases on which something other than the background is drawn. */
const drawnCharts = () =>
  page.evaluate(() =>
    [...document.querySelectorAll(".uplot canvas")].filter((c) => {
      if (!c.width) return false;
      const px = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      const seen = new Set();
      for (let i = 0; i < px.length; i += 4) if (px[i + 3] > 40) seen.add((px[i] >> 4) * 256 + (px[i + 1] >> 4) * 16 + (px[i + 2] >> 4));
      return seen.size >= 3;
    }).length,
  );
const waitForCharts = async (n) => {
  await page.waitForSelector(".uplot canvas");
  for (let i = 0; i < 40; i++) {
    if ((await drawnCharts()) >= n) return;
    await page.waitForTimeout(250);
  }
  assert.fail(`only ${await drawnCharts()} of ${n} charts are drawn`);
};

try {
  step("Now shows the services");
  await page.goto(base);
  await page.waitForSelector("a.cell", { timeout: waitMs });
  assert.ok((await page.locator("a.cell").count()) >= 3, "the grid shows the services");
  await shot("now-first-dark");

  step("the first incident appears by itself, without a reload");
  await page.waitForSelector("a.incident", { timeout: waitMs });
  await shot("now-dark");
  const title = await page.locator("a.incident .title").first().innerText();

  step("j and Enter open it");
  await page.keyboard.press("j");
  await page.waitForSelector("a.incident[data-selected=true]");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/incidents\/.+/);
  await page.waitForSelector("h1");
  console.log(`  ${title}`);

  step("its charts are drawn, its chain is shown");
  await waitForCharts(1);
  await page.waitForSelector("svg.chain .node, .chainbox .empty");
  assert.ok((await page.locator(".ev").count()) + (await page.locator("#dev-h").count()) > 0, "the incident shows evidence");
  await shot("incident-dark");
  const permalink = page.url();

  step("why is answered");
  await page.locator("button", { hasText: "why?" }).first().click();
  await page.waitForTimeout(400);
  assert.equal(await page.locator("td .tone-bad", { hasText: "not found" }).count(), 0, "why gives a reason");

  step("a comment is kept");
  await page.getByLabel("Your name").fill("e2e");
  await page.getByLabel("Comment", { exact: true }).fill("seen by the browser test");
  await page.getByRole("button", { name: "Comment", exact: true }).click();
  await page.waitForSelector("ul.timeline >> text=seen by the browser test");

  step("the palette finds Explore");
  await page.keyboard.press("Escape");
  await page.locator("body").click({ position: { x: 5, y: 300 } });
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("explore metr");
  await page.waitForSelector(".palette-item[aria-selected=true]");
  await shot("palette-dark", false);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/explore/);

  step("Explore draws a series with its explanation");
  await page.waitForSelector(".seriesrow");
  await page.locator(".seriesrow").first().click();
  await waitForCharts(1);
  await shot("explore-dark");

  step("logs and patterns answer");
  await page.getByRole("link", { name: "Logs", exact: true }).click();
  await page.waitForSelector(".logline, .empty");
  await shot("logs-dark", false);
  await page.getByRole("link", { name: "Log patterns" }).click();
  await page.waitForSelector("table.table tbody tr, .empty");
  await shot("patterns-dark", false);

  step("the light theme");
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto(permalink);
  await waitForCharts(1);
  await shot("incident-light");
  await page.goto(base);
  await page.waitForSelector("a.cell");
  assert.equal(await page.evaluate(() => document.documentElement.getAttribute("data-mantine-color-scheme")), "light", "follows the system");
  await shot("now-light");
  await page.keyboard.press("t");
  await page.waitForSelector("html[data-mantine-color-scheme=dark]");

  step("360 px wide");
  await page.setViewportSize({ width: 360, height: 740 });
  for (const [name, url, wait] of [
    ["now-360", base, "a.cell"],
    ["incident-360", permalink, ".uplot canvas"],
    ["explore-360", `${base}/explore`, ".seriesrow"],
    ["history-360", `${base}/incidents`, "a.incident"],
  ]) {
    await page.goto(url);
    await page.waitForSelector(wait);
    await page.waitForTimeout(500);
    await shot(name);
    await narrow();
  }
  assert.deepEqual(problems, [], "the browser reports no error");
  console.log("console: ok");
} catch (e) {
  await shot("failed").catch(() => undefined);
  console.error(problems.join("\n"));
  throw e;
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
