// Every page, dark and light, wide and on a phone: seen, readable, whole.
import assert from "node:assert/strict";
import { charts, fits, readable, settled } from "./checks.mjs";
import { permalink } from "./now.mjs";

async function pages(t) {
  const trace = t.trace ? new URL(t.trace) : null;
  const id = trace?.searchParams.get("trace") ?? (await t.api("traces?service=frontend&limit=1")).spans[0].trace_id;
  const series = (await t.api(`series?q=latency+${t.truth[0]}&limit=1`)).series[0].id;
  const line = encodeURIComponent((await t.api("logs?limit=5")).lines.at(-1).id);
  const onset = (await t.api(`incidents/${(await permalink(t)).split("/").pop()}`)).onset_unix_ms;
  const set = await t.api("detection");
  await t.api("detection", {
    revision: set.revision, custom_metrics: [],
    rules: [{ name: "e2e looks", match: '{service_name="nobody",instance=~"a-rather-long-name-of-an-instance-.*"}', weight: 2, direction: "up", sensitivity: "low", min_deviation: { absolute: 5, relative: 0.2 }, range: { min: 0, max: 1 }, member_weights: { shape: 0 } }],
    mutes: [{ name: "e2e looks", match: '{service_name="nobody"}', start: "2026-01-01T00:00:00Z", comment: "a reason", weekly: { days: ["mon", "tue"], from: "22:00", to: "04:00", time_zone: "Europe/Berlin" } }],
  }, "PUT");
  const { backtests } = await t.api("backtests");
  const tried = backtests[0] ?? (await t.api("backtests", { from: "-30m", change: "detection: {false_alarms_per_series_week: 1}" }));
  for (let b = tried; b.state === "running"; b = await t.api(`backtests/${tried.id}`)) await new Promise((done) => setTimeout(done, 500));
  return [
    ["now", "/", "a.cell", 0],
    ["history", "/incidents", "a.incident", 0],
    ["incident", new URL(await permalink(t)).pathname, "svg.chain .node", 2],
    ["backtest", `/backtest?id=${tried.id}`, "#sums-h", 0],
    ["rules", "/detection", ".entry", 0],
    ["rule", "/detection?edit=e2e+looks", ".editor", 0],
    ["mutes", "/detection?tab=mutes", ".entry", 0],
    ["mute", "/detection?tab=mutes&edit=e2e+looks", ".editor", 0],
    ["held", "/detection?tab=held", "#held-h", 0],
    ["custom", "/detection?tab=metrics&edit=%2B", ".editor", 0],
    ["calendar", "/detection?tab=general", "#general-h", 0],
    ["plugins", "/detection?tab=plugins", "#plugins-h", 0],
    ["metrics", "/explore", ".seriesrow", 2],
    ["series", `/explore?series=${series}`, ".explain p", 1],
    ["logs", "/explore?tab=logs", ".logline", 0],
    ["tail", "/explore?tab=logs&tail=1", ".logline", 0],
    ["line", `/explore?tab=logs&line=${line}`, ".logfields", 0],
    ["counted", `/explore?tab=logs&query=${encodeURIComponent("* | stats by (service) count() n")}`, ".logline", 0],
    ["patterns", "/explore?tab=patterns", "tbody tr .var", 0],
    ["changed", `/explore?tab=changed&from=${onset}&to=now`, "tbody tr", 0],
    ["objectives", "/detection?tab=slos", "#slos-h", 0],
    ["traces", "/explore?tab=traces&service=frontend", "tbody tr", 0],
    ["trace", `/explore?tab=trace&trace=${id}`, ".spanbar", 0],
  ];
}

export async function looks(t) {
  const { page } = t;
  const all = await pages(t);
  const wrong = [];
  for (const scheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [1440, 360]) {
      await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
      for (const [name, path, wait, drawn] of all) {
        t.step(`${name}, ${scheme}, ${width} px`);
        await page.goto(t.base + path);
        await page.locator(wait).first().waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.getAttribute("data-mantine-color-scheme")), scheme, "follows the system");
        if (drawn) await charts(page, drawn);
        await settled(page);
        await t.shot(`${name}-${width}-${scheme}`, width === 1440 || /now|incident|trace|series|changed/.test(name));
        // All that is wrong is said at once.
        for (const check of [fits, readable]) await check(page, `${name}, ${scheme}, ${width} px`).catch((e) => wrong.push(`${e.message}`));
      }
    }
  }
  assert.equal(wrong.length, 0, wrong.join("\n"));

  t.step("on a phone the bar, its buttons and the navigation can be reached");
  await page.goto(t.base);
  for (const b of [page.getByRole("link", { name: "Norn, to Now" }), page.getByRole("button", { name: /^Search/ }), page.getByRole("link", { name: "Explore", exact: true })]) {
    const box = await b.boundingBox();
    assert.ok(box && box.y >= 0 && box.y + box.height <= 740, "inside the window");
    const top = await b.evaluate((e) => {
      const r = e.getBoundingClientRect();
      return e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2));
    });
    assert.ok(top, `nothing lies over ${await b.getAttribute("aria-label") ?? (await b.innerText())}`);
  }
}
