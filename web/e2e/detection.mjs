// Detection: a mute, a rule and a custom metric are set, refused, tried on
// history and taken away again; the API sees each of it.
import assert from "node:assert/strict";
import { settled } from "./checks.mjs";

const faultAt = (page, label) => page.locator(".formfield", { has: page.getByLabel(label, { exact: true }) }).locator("[role=alert]");

async function mutes(t) {
  const { page } = t;
  t.step("a mute is added, and the API has it");
  await page.goto(`${t.base}/detection?tab=mutes`);
  await page.getByText("Nothing is muted").waitFor();
  await page.getByRole("button", { name: "Add a mute" }).click();
  await page.getByLabel("Name").fill("e2e nightly");
  await page.getByLabel("What it mutes").fill('{service_name="nobody"');
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  await page.getByLabel("Why").fill("the browser test");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  assert.match(await faultAt(page, "What it mutes").innerText(), /nobody|parse|unexpected/, "a broken selector is refused at its field");
  assert.equal(await page.getByLabel("What it mutes").getAttribute("aria-invalid"), "true");
  await t.shot("mute-refused-dark", false);
  await page.getByLabel("What it mutes").fill('{service_name="nobody"}');
  await page.keyboard.press("Enter");
  const entry = page.locator(".entry", { hasText: "e2e nightly" });
  await entry.getByText("Mutes now").waitFor();
  const [kept] = (await t.api("detection")).stored.mutes;
  assert.deepEqual([kept.name, kept.match, kept.comment], ["e2e nightly", '{service_name="nobody"}', "the browser test"]);
  const length = Date.parse(kept.end) - Date.parse(kept.start);
  assert.equal(length, 3_600_000, "the button is an hour");

  t.step("a mute is ended, then removed");
  await entry.getByRole("button", { name: "End mute e2e nightly now" }).click();
  await entry.getByText("Over").waitFor();
  assert.ok(Date.parse((await t.api("detection")).stored.mutes[0].end) <= Date.now());
  await entry.getByRole("button", { name: "Edit mute e2e nightly" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("Nothing is muted").waitFor();
  assert.deepEqual((await t.api("detection")).stored.mutes, []);
}

async function rules(t) {
  const { page } = t;
  t.step("a rule begins at a series; bad values are refused at their fields");
  await page.goto(`${t.base}/explore`);
  await page.getByLabel("Search series").fill(`latency ${t.truth[0]}`);
  await page.waitForFunction((name) => [...document.querySelectorAll(".seriesrow")].every((r) => r.textContent.includes(name)), t.truth[0]);
  await page.locator(".seriesrow").first().click();
  await page.locator(".explain").getByRole("link", { name: "Raise sensitivity" }).click();
  await page.waitForURL(/\/detection\?.*sensitivity=high/);
  const match = await page.getByLabel("Applies to").inputValue();
  assert.ok(match.includes(t.truth[0]) || match.includes("{"), `the selector names the series: ${match}`);
  assert.equal(await page.getByLabel("Sensitivity").inputValue(), "high");
  await page.getByLabel("Name").fill("e2e rule");
  await page.getByLabel("Weight", { exact: true }).fill("ten");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  assert.equal(await faultAt(page, "Weight").innerText(), "“ten” is not a number");
  await page.getByLabel("Weight", { exact: true }).fill("11");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator("[role=alert]", { hasText: "11 is not between 0 and 10" }).waitFor();
  await t.shot("rule-refused-dark", false);
  assert.deepEqual((await t.api("detection")).stored.rules, [], "what is refused changes nothing");
  await page.getByLabel("Weight", { exact: true }).fill("2");
  await page.getByLabel("Least deviation, %").fill("12,5");
  await page.getByRole("button", { name: "Add a member" }).click();
  await page.getByLabel("Member", { exact: true }).fill("shape");
  await page.getByLabel("Weight of shape").fill("0");

  t.step("it is tried on history before it is in force");
  await page.getByRole("button", { name: "Try on history" }).click();
  await page.waitForURL(/\/backtest\?draft=1/);
  await page.getByText("weight 2, sensitivity high, deviates by at least 12.5 %, shape is not heard").waitFor();
  await page.reload();
  await page.getByText("weight 2, sensitivity high").waitFor(); // it outlives a reload
  await page.getByRole("button", { name: "6 h" }).click();
  await page.getByRole("button", { name: "Run backtest" }).click();
  await page.waitForURL(/\/backtest\?id=/);
  await page.locator("#sums-h").waitFor({ timeout: 120_000 });
  assert.match(await page.locator("section[aria-labelledby=costs-h]").innerText(), /memory\s+[\d.]+ (KiB|MiB)\s+[\d.]+ (KiB|MiB)/);
  await settled(page);
  await t.shot("backtest-dark");
  assert.deepEqual((await t.api("detection")).stored.rules, [], "a trial sets nothing");

  t.step("alarms fold by entity and series, and each is said in words");
  await page.locator(".foldbtn").first().click();
  await page.locator(".lanerow.inner .foldbtn").first().click();
  assert.match(await page.locator(".pairs li").first().innerText(), /(missed|new|earlier|later|same time)\s+.*\d\d:\d\d:\d\d/s);
  assert.ok(!(await page.locator(".lanerow.inner").first().innerText()).includes("service_instance_id"), "names are short");

  t.step("what was tried is put into force");
  await page.getByRole("button", { name: "Put into force" }).click();
  await page.getByText("In force", { exact: true }).waitFor();
  const [kept] = (await t.api("detection")).stored.rules;
  assert.deepEqual([kept.name, kept.match, kept.weight, kept.sensitivity, kept.min_deviation.relative, kept.member_weights], ["e2e rule", match, 2, "high", 0.125, { shape: 0 }]);

  t.step("who edits what somebody else changed is told so");
  await page.goto(`${t.base}/detection?edit=e2e+rule`);
  await page.getByLabel("Weight", { exact: true }).fill("3");
  const s = await t.api("detection");
  await t.api("detection", { revision: s.revision, ...s.stored, rules: [{ ...kept, weight: 4 }] }, "PUT");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator("[role=alert]", { hasText: "Somebody else changed this rule meanwhile" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".entry", { hasText: "weight 4" }).getByRole("button", { name: "Edit rule e2e rule" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("No rules").waitFor();
}

async function metrics(t) {
  const { page } = t;
  t.step("a custom metric is refused with the parser's words, then runs");
  await page.goto(`${t.base}/detection?tab=metrics&edit=%2B`);
  await page.getByLabel("Name").fill("e2e_requests");
  await page.getByLabel("Expression").fill("sum(");
  await page.getByLabel("Every").fill("5s");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  assert.match(await faultAt(page, "Expression").innerText(), /parse error/);
  await page.getByLabel("Expression").fill("sum(norn_request_rate)");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const entry = page.locator(".entry", { hasText: "e2e_requests" });
  await entry.getByText(/1 series/).waitFor({ timeout: 60_000 });
  await entry.getByRole("button", { name: "Edit custom metric e2e_requests" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("No custom metrics").waitFor();
}

async function others(t) {
  const { page } = t;
  t.step("what was held back, the calendar and plugins are seen; a holiday is tried");
  await page.goto(`${t.base}/detection?tab=held`);
  const { budget } = await t.api("suppressed");
  await page.locator("section[aria-labelledby=held-h] .fact", { hasText: "false pages a week, at most" }).waitFor();
  assert.equal(await page.locator("section[aria-labelledby=held-h] .fact b").first().innerText(), String(budget.false_pages_per_week));

  t.step("objectives: as many as the API has, each with what is left of its budget, the least first");
  const { slos } = await t.api("slos");
  await page.goto(`${t.base}/detection?tab=slos`);
  await page.locator("#slos-h").waitFor();
  await settled(page);
  if (slos.length === 0) await page.getByText("No objective is declared, and none could be inferred yet.").waitFor();
  const entries = page.locator("section[aria-labelledby=slos-h] .entry");
  const left = (await entries.allInnerTexts()).map((e) => Number(/budget left\s+[<>]?\s*(-?[\d.]+) %/.exec(e)?.[1]));
  assert.ok(Math.abs(left.length - slos.length) <= 1, `${left.length} objectives of ${slos.length}`); // one may come meanwhile
  assert.ok(left.every(Number.isFinite), `each says what is left: ${left}`);
  assert.deepEqual(left, [...left].sort((a, b) => a - b));

  await page.goto(`${t.base}/detection?tab=plugins`);
  await page.getByText("No plugins").waitFor();
  await page.goto(`${t.base}/detection?tab=general`);
  await page.getByLabel("Public holidays").selectOption("DE");
  await page.locator("pre", { hasText: 'holidays: "DE"' }).waitFor();
  await page.getByRole("button", { name: "Try on history" }).click();
  await page.waitForURL(/\/backtest\?draft=1/);
  assert.match(await page.getByLabel(/Proposed settings/).inputValue(), /holidays: "DE"/);
  await page.getByRole("button", { name: "Discard" }).click();
  await page.waitForURL(/\/backtest$/);
}

export async function detection(t) {
  await t.forgive(async () => {
    // Refusals are 400s, which the browser reports.
    await mutes(t);
    await rules(t);
    await metrics(t);
  });
  await others(t);
}
