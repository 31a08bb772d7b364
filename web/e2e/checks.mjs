// What must hold on every page: nothing runs over, no number is cut, all text
// can be read, charts are drawn.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Waits until the page stands still: nothing loads and no placeholder is left. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector(".mantine-Skeleton-root, [aria-busy=true]"), null, { timeout: 20_000 });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.waitForTimeout(250); // transitions of the component library
}

/** Fails when the page scrolls sideways, or something sticks out of the window or hides a part of a number. */
export async function fits(page, name) {
  const found = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const out = [];
    const over = document.documentElement.scrollWidth - width;
    if (over > 0) out.push(`the page scrolls sideways by ${over} px`);
    const scrolls = (e) => {
      for (let p = e; p; p = p.parentElement) if (/auto|scroll/.test(getComputedStyle(p).overflowX) && p !== document.documentElement) return true;
      return false;
    };
    const own = (e) => [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join(" ").trim();
    for (const e of document.querySelectorAll("body *")) {
      if (e.closest(".sr-only, .skip, .uplot, [hidden], script, style")) continue;
      const box = e.getBoundingClientRect();
      if (box.width === 0 || box.height === 0) continue;
      const says = own(e).slice(0, 60);
      const what = `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}"> “${says}”`;
      if (box.right > width + 1 && !scrolls(e)) out.push(`${what} ends at ${Math.round(box.right)} px of ${width}`);
      const style = getComputedStyle(e);
      const clips = style.overflowX !== "visible" && !/auto|scroll/.test(style.overflowX);
      if (clips && e.scrollWidth > e.clientWidth + 1 && /\d/.test(e.textContent) && e.textContent.length < 40 && !/[a-z]{4}/i.test(e.textContent)) out.push(`the number “${e.textContent}” is cut: ${e.scrollWidth} px in ${e.clientWidth}`);
      // A number that lies over its neighbour cannot be read either.
      if (/^[\d.,<≥]/.test(says) && style.whiteSpaceCollapse !== undefined && style.textWrapMode === "nowrap" && e.parentElement) {
        const frame = e.parentElement.getBoundingClientRect();
        if (box.right > frame.right + 1 && !scrolls(e)) out.push(`${what} sticks out of its frame by ${Math.round(box.right - frame.right)} px`);
      }
    }
    return out;
  });
  assert.deepEqual(found, [], `${name} does not fit ${page.viewportSize().width} px`);
}

/** WCAG 2.1 A and AA by axe-core, and the contrast of text in drawings, which axe does not judge. */
export async function readable(page, name) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const r = await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"] });
    return r.violations.flatMap((v) => v.nodes.slice(0, 4).map((n) => `${v.id}: ${n.target.join(" ")}: ${n.any[0]?.message ?? n.failureSummary}`));
  });
  const drawn = await page.evaluate(() => {
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (css, under) => {
      probe.clearRect(0, 0, 1, 1);
      if (under) {
        probe.fillStyle = under;
        probe.fillRect(0, 0, 1, 1);
      }
      probe.fillStyle = css;
      probe.fillRect(0, 0, 1, 1);
      return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (c) => {
      const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
      const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
      return (x + 0.05) / (y + 0.05);
    };
    const root = getComputedStyle(document.documentElement);
    const out = [];
    const judge = (what, text, ground) => {
      const c = contrast(rgb(text, ground), rgb(ground));
      if (c < 4.5) out.push(`${what}: contrast ${c.toFixed(2)} of ${text} on ${ground}`);
    };
    for (const t of document.querySelectorAll("svg text")) {
      const box = t.parentElement.querySelector("rect.nodebox");
      judge(`“${t.textContent.trim()}” in a drawing`, getComputedStyle(t).fill, box ? getComputedStyle(box).fill : root.getPropertyValue("--surface"));
    }
    if (document.querySelector(".uplot")) judge("axes of charts", root.getPropertyValue("--dim"), root.getPropertyValue("--surface"));
    return out;
  });
  assert.deepEqual([...violations, ...drawn], [], `${name} can be read by everyone`);
}

/** Counts canvases on which something other than the background is drawn. */
const drawnCharts = (page) =>
  page.evaluate(
    () =>
      [...document.querySelectorAll(".uplot canvas")].filter((c) => {
        if (!c.width) return false;
        const px = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        const seen = new Set();
        for (let i = 0; i < px.length; i += 4) if (px[i + 3] > 40) seen.add((px[i] >> 4) * 256 + (px[i + 1] >> 4) * 16 + (px[i + 2] >> 4));
        return seen.size >= 3;
      }).length,
  );

export async function charts(page, n) {
  await page.waitForSelector(".uplot canvas");
  let seen = 0;
  for (let i = 0; i < 60 && seen < n; i++) {
    seen = await drawnCharts(page);
    if (seen < n) await page.waitForTimeout(250);
  }
  assert.ok(seen >= n, `${seen} of ${n} charts are drawn`);
}
