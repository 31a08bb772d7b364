// Everything by keyboard.
import assert from "node:assert/strict";

const selected = (page) => page.locator(".seriesrow").evaluateAll((list) => list.findIndex((r) => r.dataset.selected === "true"));

export async function keys(t) {
  const { page } = t;
  t.step("j and k move in a list, Enter opens");
  await page.goto(`${t.base}/explore`);
  await page.waitForSelector(".seriesrow");
  assert.equal(await selected(page), -1, "nothing is selected before a key");
  for (const [key, want] of [["j", 0], ["j", 1], ["j", 2], ["k", 1], ["k", 0], ["k", 0]]) {
    await page.keyboard.press(key);
    await page.waitForFunction((n) => document.querySelectorAll(".seriesrow")[n]?.dataset.selected === "true", want);
    assert.equal(await selected(page), want, `after ${key}`);
  }
  await page.keyboard.press("Enter");
  await page.waitForURL(/series=\d+/);

  t.step("j and Enter open an incident");
  await page.goto(`${t.base}/incidents`);
  await page.waitForSelector("a.incident");
  await page.keyboard.press("j");
  const href = await page.locator("a.incident[data-selected=true]").getAttribute("href");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${href}`);

  t.step("? lists the keys, Escape closes the list");
  await page.waitForSelector("h1");
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await dialog.waitFor();
  assert.match(await dialog.innerText(), /Acknowledge the incident/);
  await page.waitForTimeout(300);
  await t.shot("keys-dark", false);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });

  t.step("g and a letter change the page, / goes to its search field");
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForURL(/\/detection$/);
  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await page.waitForURL(/\/explore$/);
  await page.waitForSelector(".seriesrow");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Search series");
  await page.keyboard.type("j?");
  assert.equal(await page.getByLabel("Search series").inputValue(), "j?", "keys are text where a person types");
  await page.getByLabel("Search series").fill("");
  await page.evaluate(() => document.activeElement.blur());

  t.step("Ctrl-K finds a page and a service");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("cart");
  await page.locator(".palette-item", { hasText: "cart" }).first().waitFor();
  await page.waitForTimeout(300);
  await t.shot("palette-dark", false);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  const chosen = page.locator(".palette-item[aria-selected=true]");
  assert.match(await chosen.innerText(), /cart/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/cart|incidents\/|series=/);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("explore metr");
  await page.locator(".palette-item[aria-selected=true]", { hasText: /metr/i }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/explore$/);
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Escape");
  await page.getByRole("combobox").waitFor({ state: "hidden" });

  t.step("t changes the theme");
  await page.emulateMedia({ colorScheme: "light" });
  const scheme = () => page.evaluate(() => document.documentElement.getAttribute("data-mantine-color-scheme"));
  await page.waitForSelector("html[data-mantine-color-scheme=light]");
  await page.keyboard.press("t");
  await page.waitForSelector("html[data-mantine-color-scheme=dark]");
  await page.keyboard.press("t");
  await page.waitForSelector("html[data-mantine-color-scheme=light]");
  await page.keyboard.press("t");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForSelector("html[data-mantine-color-scheme=dark]");
  assert.equal(await scheme(), "dark", "follows the system again");
}
