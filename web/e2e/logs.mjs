// Logs: lines are searched, narrowed, seen in context, followed and exported;
// patterns are compared; a dragged window says what changed in it.
import assert from "node:assert/strict";
import { settled } from "./checks.mjs";

export const named = (t, list, what, least) => {
  const seen = t.shop.filter((s) => list.some((x) => x.includes(s)));
  assert.ok(seen.length >= least, `${what} name ${seen.length} services of the shop (${seen}), fewer than ${least}: ${list.slice(0, 5)}`);
};

const services = (page) => page.locator(".loglist .logline .svc").allInnerTexts();
const query = (page) => page.getByLabel("LogsQL query").inputValue();
const onlyFrom = (page, name) =>
  page.waitForFunction((want) => {
    const s = [...document.querySelectorAll(".loglist .logline .svc")].map((x) => x.textContent);
    return s.length > 0 && s.every((x) => x === want);
  }, name);

/** Drags over the middle of something, as a person does. */
export async function drag(page, target, from = 0.4, to = 0.7) {
  const box = await target.boundingBox();
  const y = box.y + box.height * 0.4;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((from + to) / 2), y, { steps: 4 });
  await page.mouse.move(box.x + box.width * to, y, { steps: 4 });
  await page.mouse.up();
}

async function search(t) {
  const { page } = t;
  t.step("log lines come from the shop's services");
  await page.goto(`${t.base}/explore?tab=logs`);
  await page.waitForSelector(".logline");
  named(t, await services(page), "log lines", 4);
  for (const line of (await page.locator(".logline").allInnerTexts()).slice(0, 20)) assert.match(line, /^\d\d:\d\d:\d\d\s+(trace|debug|info|warn|error|fatal)\s/, line);
  await page.locator(".histogram svg rect").first().waitFor();
  assert.match(await page.locator(".histogram").innerText(), /[\d,]+ lines\s.*info\s+[\d.]+k?/s, "the histogram counts by severity");
  await settled(page);
  await t.shot("logs-dark", false);

  t.step("a query leaves the lines of one service, and is offered again");
  await page.getByLabel("LogsQL query").fill("service:=cart");
  await page.keyboard.press("Enter");
  await page.waitForURL(/query=/);
  await onlyFrom(page, "cart");
  await page.reload();
  await onlyFrom(page, "cart"); // the URL holds it
  assert.ok((await page.locator("#recent-queries option").evaluateAll((l) => l.map((o) => o.value))).includes("service:=cart"), "recent queries");

  t.step("a query that cannot be understood is refused in words");
  await t.forgive(async () => {
    await page.goto(`${t.base}/explore?tab=logs&query=${encodeURIComponent("service:=(")}`);
    await page.locator("[role=alert]", { hasText: "could not load the log lines" }).waitFor();
  });
}

async function narrow(t) {
  const { page } = t;
  t.step("facets count, and a click on a value narrows to it; again takes it back");
  await page.goto(`${t.base}/explore?tab=logs`);
  const value = page.locator(".facetvalue", { hasText: /^pricing/ }).first();
  await value.waitFor();
  assert.match(await value.innerText(), /pricing\s+[\d.]+k?/);
  await value.click();
  await onlyFrom(page, "pricing");
  assert.equal(await query(page), 'service:="pricing"');
  await page.locator(".facet", { hasText: "service" }).first().locator("summary").first().click();
  await page.getByRole("button", { name: "pricing", exact: false }).and(page.locator(".facetvalue[aria-pressed=true]")).first().click();
  await page.waitForFunction(() => document.querySelector("[aria-label='LogsQL query']").value === "");

  t.step("a value in a line takes lines out");
  await page.locator(".logline").first().click();
  const [first] = await services(page);
  await page.locator(".logfields").getByRole("button", { name: `Not service = ${first}` }).click();
  await page.waitForFunction((name) => {
    const s = [...document.querySelectorAll(".loglist .logline .svc")].map((x) => x.textContent);
    return s.length > 0 && !s.includes(name);
  }, first);
  assert.equal(await query(page), `!service:="${first}"`);
}

async function line(t) {
  const { page } = t;
  t.step("a line's link leads back to it, with the lines around it");
  await page.goto(`${t.base}/explore?tab=logs&query=service%3A%3Dcart`);
  await page.waitForSelector(".logline");
  await page.locator(".logline").nth(2).click();
  await page.waitForURL(/line=/);
  const text = await page.locator(".fulltext").innerText();
  await page.reload();
  assert.equal(await page.locator(".fulltext").innerText(), text, "the same line is open");
  await page.getByRole("button", { name: "lines around it" }).click();
  await page.locator(".context .logline[aria-current=true]").waitFor();
  const around = await page.locator(".context .logline").allInnerTexts();
  assert.ok(around.length >= 4, `${around.length} lines around it`);
  assert.deepEqual(around, [...around].sort((a, b) => a.slice(0, 8).localeCompare(b.slice(0, 8))), "oldest first");
  await t.shot("logs-line-dark", false);

  t.step("and to its pattern");
  await page.locator(".logfields").getByRole("link", { name: "its pattern" }).click();
  await page.waitForURL(/tab=patterns.*pattern=\d+|pattern=\d+.*tab=patterns/);
  await page.locator("tr[data-open] [aria-label='What varies']").waitFor();
}

async function scroll(t) {
  const { page } = t;
  t.step("thousands of lines scroll, and only those in sight are in the page");
  await page.goto(`${t.base}/explore?tab=logs`);
  await page.waitForSelector(".logline");
  const { total } = await t.api("logs/histogram?from=-1h&to=now");
  const want = Math.min(10_000, total - 500);
  const height = () => page.locator(".loglist").evaluate((e) => e.scrollHeight / 24);
  for (let i = 0; i < 60 && (await height()) < want; i++) {
    await page.locator(".loglist").evaluate((e) => e.scrollTo({ top: e.scrollHeight }));
    await page.waitForTimeout(150);
  }
  const lines = Math.round(await height());
  assert.ok(lines >= want, `${lines} lines of ${want} came while scrolling`);
  const rows = await page.locator(".loglist .logline").count();
  assert.ok(rows < 120, `${rows} rows are in the page`);
  const frames = await page.locator(".loglist").evaluate(async (e) => {
    let n = 0;
    for (let i = 0; i < 60; i++) {
      e.scrollTop = (i * 7919 * 24) % e.scrollHeight;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const box = e.getBoundingClientRect();
      if ([...e.querySelectorAll(".logline")].some((r) => r.getBoundingClientRect().top >= box.top - 24 && r.getBoundingClientRect().top < box.bottom)) n++;
    }
    return n;
  });
  assert.equal(frames, 60, "lines are in sight wherever it is scrolled to");
  console.log(`  ${lines} lines, ${rows} rows in the page`);
}

async function follow(t) {
  const { page } = t;
  t.step("live tail: lines come by themselves, wait while paused, and go on");
  await page.goto(`${t.base}/explore?tab=logs`);
  await page.getByRole("button", { name: "live tail" }).click();
  await page.waitForURL(/tail=1/);
  await page.waitForSelector(".loglist .logline");
  const count = () => page.locator(".loglist").evaluate((e) => e.scrollHeight);
  await page.getByRole("button", { name: "pause" }).click();
  const before = await count();
  await page.getByText(/paused, [1-9]\d* new lines?/).waitFor();
  assert.equal(await count(), before, "nothing moves while paused");
  await t.shot("logs-tail-dark", false);
  await page.getByRole("button", { name: "go on" }).click();
  await page.getByText("new lines appear on top").waitFor();
  await page.waitForFunction((h) => document.querySelector(".loglist").scrollHeight > h, before);
}

async function exported(t) {
  const { page } = t;
  t.step("lines are exported as NDJSON and CSV");
  await page.goto(`${t.base}/explore?tab=logs&query=service%3A%3Dcart`);
  await onlyFrom(page, "cart");
  for (const format of ["NDJSON", "CSV"]) {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: `Export as ${format}` }).click()]);
    assert.match(file.suggestedFilename(), new RegExp(`^logs-.*\\.${format.toLowerCase()}$`));
    const chunks = [];
    for await (const c of await file.createReadStream()) chunks.push(c);
    const rows = Buffer.concat(chunks).toString("utf8").trimEnd().split("\n");
    assert.ok(rows.length > 5, `${rows.length} rows`);
    if (format === "CSV") assert.match(rows[0], /^id,time,service,instance,severity,template,trace_id,message,/);
    else for (const r of rows) assert.equal(JSON.parse(r).service, "cart");
  }
}

async function patterns(t) {
  const { page } = t;
  t.step("log patterns come from the shop's services, mark what varies and say how sure a change is");
  await page.goto(`${t.base}/explore?tab=patterns&from=-2m`);
  await page.waitForSelector("tbody tr .var");
  const rows = await page.locator("tbody tr").allInnerTexts();
  assert.ok(rows.length >= 5, `${rows.length} patterns`);
  named(t, rows, "patterns", 4);
  for (const r of rows) assert.match(r, /^[\d.]+[kM]?\s+was [\d.]+[kM]?\s+(new|gone|from 0|× [\d.,]+)\s+(for certain|may be chance)\s/, r);
  await page.waitForSelector(".sparkcell path");
  await page.getByRole("button", { name: /^details/ }).first().click();
  assert.match(await page.locator("[aria-label='What varies']").first().innerText(), /\b(id|number|duration|size|text|word|hex|time|path)\b/, "parameters have types");
  await settled(page);
  await t.shot("patterns-dark", false);

  t.step("they are compared with another time");
  await page.getByLabel("Compared with").selectOption({ label: "an hour before" });
  await page.waitForURL(/bfrom=\d+/);
  await page.locator("tbody tr").first().waitFor();

  t.step("a pattern leads to its lines");
  const name = await page.locator("tbody tr .ent .name").first().innerText();
  await page.getByRole("link", { name: "lines", exact: true }).first().click();
  await page.waitForSelector(".logline");
  assert.deepEqual([...new Set(await services(page))], [name], "only lines of the pattern's service");
}

async function changed(t) {
  const { page } = t;
  t.step("a drag over the histogram chooses the window, and leads to what changed in it");
  await page.goto(`${t.base}/explore?tab=logs&from=-15m`);
  const plot = page.locator(".histogram svg[role=img]");
  await plot.locator("rect").first().waitFor();
  await drag(page, plot, 0.8, 0.97);
  await page.waitForURL(/from=\d{13}.*to=\d{13}/);
  const u = new URL(page.url()).searchParams;
  const length = Number(u.get("to")) - Number(u.get("from"));
  assert.ok(length > 100_000 && length < 210_000, `a sixth of a quarter of an hour, not ${length} ms`);
  await page.getByRole("link", { name: "What changed here?" }).click();
  await page.waitForURL(/tab=changed/);
  await page.getByText(/series and \d+ log patterns? were compared/).waitFor();

  t.step("since the fault began, what changed names the entity at fault");
  const { incidents } = await t.api("incidents?limit=100");
  const onset = incidents.find((i) => t.truth.includes(i.root.name)).onset_unix_ms;
  await page.goto(`${t.base}/explore?tab=changed&from=${onset}&to=now`);
  await page.locator("tbody tr").first().waitFor();
  const rows = await page.locator("tbody tr").allInnerTexts();
  assert.ok(rows.slice(0, 10).some((r) => t.truth.some((n) => r.includes(n))), `${t.truth} is among the first ten: ${rows.slice(0, 10)}`);
  for (const r of rows) assert.match(r, /(up|down)/, r);
  await settled(page);
  await t.shot("changed-dark", false);
  await page.locator("tbody tr a").first().click();
  await page.waitForURL(/series=\d+|query=/);

  t.step("a drag over a metric's chart and over an incident's timeline choose a window too");
  const series = (await t.api(`series?q=latency+${t.truth[0]}&limit=1`)).series[0].id;
  await page.goto(`${t.base}/explore?series=${series}`);
  await page.waitForSelector(".uplot canvas");
  await drag(page, page.locator(".u-over").first());
  await page.getByRole("link", { name: "What changed here?" }).waitFor();
  await page.goto(`${t.base}/incidents/${incidents.find((i) => t.truth.includes(i.root.name)).id}`);
  await page.locator(".lanes svg").waitFor();
  await settled(page);
  await drag(page, page.locator(".lanes svg"));
  await page.getByRole("link", { name: "What changed here?" }).click();
  await page.getByText(/series and \d+ log patterns? were compared/).waitFor();
}

export async function logs(t) {
  await search(t);
  await narrow(t);
  await line(t);
  await scroll(t);
  await follow(t);
  await exported(t);
  await patterns(t);
  await changed(t);
}
