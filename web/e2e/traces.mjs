// Traces: operations, spans, and the waterfall of one trace, long ones too.
import assert from "node:assert/strict";
import { fits } from "./checks.mjs";
import { named } from "./logs.mjs";

async function operations(t) {
  const { page } = t;
  t.step("operations are listed by how slow or failing they are, and lead to spans");
  await page.goto(`${t.base}/explore?tab=traces&from=-15m`);
  const list = page.locator("section[aria-labelledby=ops-h]");
  await list.locator("tbody tr").first().waitFor();
  named(t, await list.locator("tbody tr").allInnerTexts(), "operations", 4);
  await list.getByRole("button", { name: "slow", exact: true }).click();
  await list.locator("button[aria-pressed=true]", { hasText: /^slow$/ }).waitFor();
  await page.locator("section[aria-labelledby=own-h] .ownrow").first().waitFor();
  const shares = (await page.locator(".ownrow .num:not(.dim)").allInnerTexts()).map(parseFloat);
  assert.deepEqual(shares, [...shares].sort((a, b) => b - a), "most own time first");
  await t.shot("traces-dark", false);
  await list.getByRole("link", { name: /^Slow spans of/ }).first().click();
  await page.waitForURL(/op=.*slower=|slower=.*op=/);
  await page.locator("section[aria-label=Spans] tbody tr").first().waitFor();
}

async function spans(t) {
  const { page } = t;
  t.step("spans are found by service and length, and lead to their trace");
  await page.goto(`${t.base}/explore?tab=traces`);
  await page.getByLabel("Service").fill("frontend");
  await page.getByLabel("Longer than, milliseconds").fill("1");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.waitForURL(/service=frontend/);
  await page.waitForFunction(() => {
    const names = [...document.querySelectorAll("section[aria-label=Spans] tbody .ent .name")].map((x) => x.textContent);
    return names.length > 0 && names.every((x) => x === "frontend");
  });
  await page.locator("section[aria-label=Spans] tbody a").first().click();
  await page.locator("tr .spanbar").first().waitFor();
  t.trace = page.url();
}

async function waterfall(t) {
  const { page } = t;
  t.step("a line leads to its trace, which marks own time and the edge gap");
  await page.goto(`${t.base}/explore?tab=logs&query=${encodeURIComponent('service:=frontend route:="GET /"')}`);
  await page.locator(".logline").first().click();
  await page.locator(".logfields").getByRole("link", { name: "trace", exact: true }).click();
  await page.waitForURL(/tab=trace/);
  await page.locator("tr .spanbar").first().waitFor();
  const rows = await page.locator(".tracetable tbody tr").allInnerTexts();
  assert.ok(rows.length >= 2, `${rows.length} spans`);
  named(t, rows, "the spans", 2);
  for (const s of rows) assert.match(s, /[\d.]+ (ns|µs|ms|s)\s+own [\d.]+ (ns|µs|ms|s)/, s);
  assert.ok(rows.some((r) => /client [^]*edge gap [\d.]+ (ns|µs|ms)/.test(r)), "a call says what was lost between the two sides");
  assert.ok((await page.locator(".spans .ownbar").count()) >= rows.length / 2, "own time is drawn");
  assert.match(await page.locator(".facts").innerText(), /[\d.]+ (ms|s|µs)\s+from first to last/);
  assert.match(await page.title(), /^Trace/);
  await t.shot("trace-dark");

  t.step("a trace leads to its log lines");
  await page.getByRole("link", { name: "its log lines" }).click();
  await page.waitForSelector(".logline");
}

/** A shape that the shop has not: 500 spans, one of which fails far below. */
function long() {
  const at = Date.now() * 1e6;
  const spans = [];
  const add = (span_id, parent_id, from, to, error = false) =>
    spans.push({ trace_id: "e2e", span_id, parent_id, name: `step ${span_id}`, kind: "internal", entity: { kind: "service", name: "orders" }, instance: { kind: "", name: "" }, start_unix_nano: at + from * 1e6, end_unix_nano: at + to * 1e6, error, status_message: error ? "declined" : "" });
  add("root", "", 0, 600);
  for (let i = 0; i < 50; i++) {
    add(`a${i}`, "root", i * 12, i * 12 + 11);
    for (let j = 0; j < 9; j++) add(`b${i}.${j}`, j < 2 ? `a${i}` : `b${i}.1`, i * 12 + j, i * 12 + j + 1, i === 31 && j === 7);
  }
  return spans;
}

async function many(t) {
  const { page } = t;
  t.step("a trace of 500 spans is folded, unfolded and searched");
  const spans = long();
  await page.route(/\/api\/v1\/traces\/e2e0500$/, (r) => r.fulfill({ json: { spans, total: spans.length } }));
  await page.goto(`${t.base}/explore?tab=trace&trace=e2e0500`);
  const rows = page.locator(".tracetable tbody tr");
  await rows.first().waitFor();
  const folded = await rows.count();
  assert.ok(folded < 200, `${folded} of 501 spans are shown at first`);
  assert.ok((await rows.filter({ hasText: "declined" }).count()) === 1, "what failed is not folded away");
  await page.getByRole("button", { name: "unfold all" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".tracetable tbody tr").length === 501);
  await page.getByLabel("Find a span").fill("b12.");
  await page.waitForFunction(() => document.querySelectorAll(".tracetable tbody tr").length === 9);
  await page.getByRole("button", { name: "failed only" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".tracetable tbody tr").length === 1);
  await page.getByLabel("Find a span").fill("");
  await page.getByRole("button", { name: "fold", exact: true }).click();
  await fits(page, "a trace of 500 spans");
  await t.shot("trace-500-dark", false);
  await page.unroute(/\/api\/v1\/traces\/e2e0500$/);
}

export async function traces(t) {
  await operations(t);
  await spans(t);
  await waterfall(t);
  await many(t);
}
