// Now: the services, the honest empty state, and the incident that names the fault.
import assert from "node:assert/strict";

export async function now(t) {
  const { page } = t;

  t.step("Now shows every service of the shop with its numbers");
  await page.goto(t.base);
  // The console answers while the demo still makes the shop's past: numbers come with the first minute.
  await page
    .waitForFunction((shop) => shop.every((name) => [...document.querySelectorAll("a.cell")].some((c) => c.querySelector(".name").textContent === name && /rate\d.*p95\d/.test(c.textContent))), t.shop, { timeout: t.waitMs })
    .catch(() => undefined); // what is missing is said below
  const cells = await page.locator("a.cell").evaluateAll((list) => list.map((c) => ({ name: c.querySelector(".name").textContent, nums: c.querySelector(".nums")?.textContent ?? "" })));
  for (const name of t.shop) {
    const c = cells.find((x) => x.name === name);
    assert.ok(c, `the grid has a cell for ${name}, not only ${cells.map((x) => x.name)}`);
    assert.match(c.nums, /rate[\d.]+\/serrors[\d.< ]+ %p95[\d.]+ (ms|s|µs)/, `the numbers of ${name}`);
  }

  t.step("without an incident it says what was watched");
  await page.route(/\/api\/v1\/incidents\?/, (r) => r.fulfill({ json: { incidents: [] } }));
  const status = page.waitForResponse(/\/api\/v1\/status$/);
  await page.goto(t.base);
  const { series_watched: watched } = await (await status).json();
  await page.getByText("No open incident").waitFor();
  const quiet = await page.locator("section[aria-labelledby=open-h] .empty").innerText();
  assert.match(quiet, new RegExp(`${watched} series watched, [\\d.]+[kMG]? points in \\d+ (s|min).*, (no alert|[1-9]\\d* alerts?) raised in 24 h`, "s"));
  await t.shot("now-quiet-dark");
  await page.unroute(/\/api\/v1\/incidents\?/);

  t.step("the incident that names the fault appears by itself, without a reload");
  await page.goto(t.base);
  await page.evaluate(() => (window.neverReloaded = true));
  const row = page.locator("a.incident").filter({ has: page.locator(".meta .ent .name").filter({ hasText: t.isTruth }) }).first();
  await row.waitFor({ timeout: t.waitMs });
  assert.equal(await page.evaluate(() => window.neverReloaded), true, "the page was not reloaded");
  const said = await row.innerText();
  console.log(`  ${said.split("\n")[0]}: ${said.split("\n")[1]}`);
  const sentence = await row.locator(".sentence").innerText();
  assert.ok(t.truth.some((n) => sentence.includes(n)), `the sentence names the cause: ${sentence}`);
  assert.match(sentence, /\d/, "the sentence has a number");
  assert.match(await row.locator(".side").innerText(), /impact\s+[\d.]+ %\s+confidence\s+[\d.]+ %/);
  await t.shot("now-dark");
  t.permalink = new URL(await row.getAttribute("href"), t.base).href;
}

/** Where the incident is that names the fault, also when only a part of the test runs. */
export async function permalink(t) {
  if (!t.permalink) {
    const { incidents } = await t.api("incidents?limit=100");
    const i = incidents.find((x) => t.truth.includes(x.root.name));
    assert.ok(i, `no incident names ${t.truth}`);
    t.permalink = `${t.base}/incidents/${i.id}`;
  }
  return t.permalink;
}
