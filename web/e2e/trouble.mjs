// When Norn cannot be reached, or answers with an error, the page says so.
import assert from "node:assert/strict";
import { charts } from "./checks.mjs";
import { permalink } from "./now.mjs";

async function cutStream(t) {
  const { page } = t;
  t.step("the stream breaks: the page says since when, and that it tries again");
  await page.goto(await permalink(t));
  await page.locator(".livestate", { hasText: "Live" }).waitFor();
  await page.evaluate(() => (window.neverReloaded = true));
  t.wire.cut();
  const banner = page.locator(".lost");
  await banner.waitFor();
  assert.match(await banner.innerText(), /No connection to Norn since \d\d:\d\d:\d\d/);
  await page.locator(".livestate", { hasText: "Reconnecting" }).waitFor();
  await t.shot("lost-dark", false);

  t.step("what happened meanwhile is there when the stream is back, without a reload");
  const text = `said while the page was cut off, ${Date.now()}`;
  await t.api(`incidents/${t.permalink.split("/").pop()}/comment`, { who: "other", text });
  await page.waitForTimeout(3000);
  assert.equal(await page.getByText(text).count(), 0, "a page without connection cannot know");
  t.wire.mend();
  await banner.waitFor({ state: "hidden", timeout: 30_000 });
  await page.locator(".livestate", { hasText: "Live" }).waitFor();
  await page.locator("ul.timeline", { hasText: text }).waitFor({ timeout: 10_000 });
  assert.equal(await page.evaluate(() => window.neverReloaded), true, "the page was not reloaded");
}

async function chartsLater(t) {
  const { page } = t;
  t.step("charts whose code could not be loaded appear when it can");
  await page.route(/assets\/Chart-.*\.js/, (r) => r.abort());
  await page.goto(await permalink(t));
  await page.waitForSelector(".chartcard");
  await page.waitForTimeout(1500);
  assert.equal(await page.locator("h1").count(), 1, "the rest of the page is there");
  await page.unroute(/assets\/Chart-.*\.js/);
  await charts(page, 2);
}

const problem = (status) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ title: "x", status, detail: `the disk is on fire (${status})` }) });

async function answersErrors(t) {
  const { page } = t;
  const cases = [
    ["/", "incidents?*", "Norn could not load the open incidents"],
    ["/", "services", "Norn could not load the services"],
    ["/", "status", "Norn could not load its own status"],
    ["/incidents", "incidents?*", "Norn could not load the incidents"],
    ["/explore", "series?*", "Norn could not load the series"],
    ["/explore", "series/*/data?*", "Norn could not load this series"],
    ["/explore?tab=logs", "logs?*", "Norn could not load the log lines"],
    ["/explore?tab=patterns", "logs/patterns?*", "Norn could not load the log patterns"],
    ["/explore?tab=traces", "traces?*", "Norn could not load the spans"],
    ["/explore?tab=traces", "operations?*", "Norn could not load the operations"],
    ["/explore?tab=changed", "changed?*", "Norn could not load what changed"],
    ["/detection", "detection", "Norn could not load the settings of detection"],
    ["/detection?tab=held", "suppressed?*", "Norn could not load what the budget holds back"],
    ["/detection?tab=held", "detection/muted?*", "Norn could not load what was muted"],
    ["/backtest", "backtests", "Norn could not load the backtests"],
    [new URL(await permalink(t)).pathname, "incidents/*", "Norn could not load this incident"],
  ];
  for (const [path, call, says] of cases) {
    t.step(`500 of ${call}: ${says}`);
    const url = `**/api/v1/${call}`;
    await page.route(url, (r) => r.fulfill(problem(500)));
    await page.goto(t.base + path);
    const notice = page.locator("[role=alert]", { hasText: says }).first();
    await notice.waitFor();
    assert.match(await notice.innerText(), /the disk is on fire \(500\)/, "and why");
    await page.unroute(url);
    const again = notice.getByRole("button", { name: "Try again" });
    // The page may have tried by itself in the meantime.
    if (await again.count()) await again.click({ timeout: 3000 }).catch(() => undefined);
    await notice.waitFor({ state: "hidden" });
  }

  t.step("what is on the page stays when renewing fails, and is called old");
  await page.goto(await permalink(t));
  await page.waitForSelector("h1");
  await page.route("**/api/v1/incidents/*", (r) => (r.request().method() === "GET" ? r.fulfill(problem(503)) : r.fallback()));
  await t.api(`incidents/${t.permalink.split("/").pop()}/comment`, { who: "other", text: "makes the page read again" });
  await page.locator("[role=alert]", { hasText: /could not renew this incident; shown as of \d\d:\d\d:\d\d/ }).waitFor();
  assert.equal(await page.locator("h1").count(), 1);
  await t.shot("stale-dark", false);
  await page.unroute("**/api/v1/incidents/*");

  t.step("an action that fails says so and keeps what was typed");
  await page.route("**/api/v1/incidents/*/comment", (r) => r.fulfill(problem(500)));
  await page.getByLabel("Comment", { exact: true }).fill("not to be lost");
  await page.getByRole("button", { name: "Comment", exact: true }).click();
  await page.locator("[role=alert]", { hasText: "Norn could not add the comment" }).waitFor();
  assert.equal(await page.getByLabel("Comment", { exact: true }).inputValue(), "not to be lost");
  await page.unroute("**/api/v1/incidents/*/comment");
}

/** Real answers of the real server to what does not exist or is wrong. */
async function findsNothing(t) {
  const { page } = t;
  for (const [path, says] of [
    ["/incidents/none", /Not found: this incident.*none/s],
    ["/explore?tab=trace&trace=00000000000000000000000000000001", /Not found: this trace/],
    ["/explore?series=1", /Not found: how this series is judged/],
    ["/explore?tab=logs&query=service%3A%3D(", /Norn could not load the log lines.*(query|parse)/s],
    ["/explore?expr=sum(", /could not load this series.*(parse|query)/s],
    ["/backtest?id=none", /Not found: this backtest/],
    ["/nowhere", /There is no such page/],
  ]) {
    t.step(`${path}: ${says.source.slice(0, 50)}`);
    await page.goto(t.base + path);
    await page.locator("[role=alert], .empty").filter({ hasText: says }).first().waitFor();
  }
  await t.shot("not-found-dark", false);
}

export async function trouble(t) {
  await t.forgive(async () => {
    await cutStream(t);
    await chartsLater(t);
    await answersErrors(t);
    await findsNothing(t);
  });
}
