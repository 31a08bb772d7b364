// Explore: a metric and how it is judged, log lines, patterns, spans, a trace.
import assert from "node:assert/strict";
import { charts, settled } from "./checks.mjs";

const named = (t, list, what, least) => {
  const seen = t.shop.filter((s) => list.some((x) => x.includes(s)));
  assert.ok(seen.length >= least, `${what} name ${seen.length} services of the shop (${seen}), fewer than ${least}: ${list.slice(0, 5)}`);
};

async function metrics(t) {
  const { page } = t;
  t.step("a long list of series is continued");
  await page.goto(`${t.base}/explore`);
  await page.waitForSelector(".seriesrow");
  await page.getByRole("button", { name: /^Show \d+ more$/ }).click();
  await page.waitForFunction(() => document.querySelectorAll(".serieslist .seriesrow").length > 150);

  t.step("Explore finds a series and says how it is judged");
  await page.getByLabel("Search series").fill(`latency ${t.truth[0]}`);
  await page.waitForFunction((name) => {
    const rows = [...document.querySelectorAll(".seriesrow")];
    return rows.length > 0 && rows.every((r) => r.textContent.includes(name) && /latency|duration/.test(r.textContent + r.innerHTML));
  }, t.truth[0]);
  await page.locator(".seriesrow").first().click();
  await page.waitForURL(/series=\d+/);
  await charts(page, 1);
  const says = await page.locator(".explain").innerText();
  assert.match(says, /(deviates now|as usual|learning|silent)\s+[\d.]+ (s|ms|µs|ns|min), expected [\d.]+ (s|ms|µs|ns)? ?to [\d.]+ (s|ms|µs|ns|min)/, "value and band");
  assert.match(says, /p [\d.e-]+ · [\d.]+k? points every \d+ s/);
  assert.ok((await page.locator(".explain p").innerText()).length > 40, "a sentence explains it");
  assert.ok((await page.locator(".explain tr").filter({ hasText: "detector" }).count()) >= 1, "detectors are named");
  assert.match(await page.locator(".explain .bandbar").getAttribute("aria-label"), /now .*, expected .* to /, "the band is drawn");
  assert.match(await page.locator(".explain").innerText(), /Judged together with \d+ other metrics of/, "and what it is judged with");
  await t.shot("series-dark");
}

async function logs(t) {
  const { page } = t;
  t.step("log lines come from the shop's services");
  await page.goto(`${t.base}/explore?tab=logs`);
  await page.waitForSelector(".logline");
  named(t, await page.locator(".logline .svc").allInnerTexts(), "log lines", 4);
  for (const line of (await page.locator(".logline").allInnerTexts()).slice(0, 20)) assert.match(line, /^\d\d:\d\d:\d\d\s+(trace|debug|info|warn|error|fatal)\s/, line);
  await t.shot("logs-dark", false);

  t.step("a query leaves the lines of one service");
  await page.getByLabel("LogsQL query").fill("service:=cart");
  await page.keyboard.press("Enter");
  await page.waitForURL(/query=/);
  await page.waitForFunction(() => {
    const s = [...document.querySelectorAll(".logline .svc")].map((x) => x.textContent);
    return s.length > 0 && s.every((x) => x === "cart");
  });

  t.step("a line leads to its trace");
  await page.locator(".logline").first().click();
  await page.locator(".logfields a").click();
  await page.waitForURL(/tab=trace/);
  await page.locator("tr .spanbar").first().waitFor();
  const spans = await page.locator(".tracetable tr").allInnerTexts();
  assert.ok(spans.length >= 2, `${spans.length} spans`);
  named(t, spans, "the spans", 2);
  for (const s of spans) assert.match(s, /[\d.]+ (ns|µs|ms|s)\s+own [\d.]+ (ns|µs|ms|s)/, s);
  assert.match(await page.locator(".facts").innerText(), /[\d.]+ (ms|s|µs)\s+from first to last/);
  assert.match(await page.title(), /^Trace/);
  await t.shot("trace-dark");
}

async function patterns(t) {
  const { page } = t;
  t.step("log patterns come from the shop's services and mark what varies");
  await page.goto(`${t.base}/explore?tab=patterns`);
  await page.waitForSelector("tbody tr .var");
  const rows = await page.locator("tbody tr").allInnerTexts();
  assert.ok(rows.length >= 5, `${rows.length} patterns`);
  named(t, rows, "patterns", 4);
  for (const r of rows) assert.match(r, /^[\d.]+[kM]?\s+(new|from 0|× [\d.]+)\s/, r);
  await settled(page);
  await t.shot("patterns-dark", false);

  t.step("a pattern leads to its lines");
  const name = await page.locator("tbody tr .ent .name").first().innerText();
  await page.getByRole("link", { name: "lines", exact: true }).first().click();
  await page.waitForSelector(".logline");
  assert.deepEqual([...new Set(await page.locator(".logline .svc").allInnerTexts())], [name], "only lines of the pattern's service");
}

async function traces(t) {
  const { page } = t;
  t.step("spans are found by service and length, and lead to their trace");
  await page.goto(`${t.base}/explore?tab=traces`);
  await page.getByLabel("Service").fill("frontend");
  await page.getByLabel("Longer than, milliseconds").fill("1");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.waitForURL(/service=frontend/);
  await page.waitForFunction(() => {
    const names = [...document.querySelectorAll("tbody .ent .name")].map((x) => x.textContent);
    return names.length > 0 && names.every((x) => x === "frontend");
  });
  await t.shot("traces-dark", false);
  await page.locator("tbody a").first().click();
  await page.locator("tr .spanbar").first().waitFor();
  t.trace = page.url();
}

export async function explore(t) {
  await metrics(t);
  await logs(t);
  await patterns(t);
  await traces(t);
}
