// Explore: a metric and how it is judged.
import assert from "node:assert/strict";
import { charts } from "./checks.mjs";

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

export async function explore(t) {
  await metrics(t);
}
