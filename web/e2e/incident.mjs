// The incident's page: chain, charts, evidence, reasons, and what a person does.
import assert from "node:assert/strict";
import { charts, settled } from "./checks.mjs";
import { permalink } from "./now.mjs";

export async function incident(t) {
  const { page } = t;
  await page.goto(await permalink(t));
  await page.waitForSelector("h1");

  t.step("the cause chain leads from the fault to the users");
  await page.waitForSelector("svg.chain .node");
  const nodes = await page.locator("svg.chain .node").evaluateAll((list) => list.map((n) => ({ role: n.classList[1], label: `${n.dataset.entity} ${n.textContent}` })));
  const root = nodes.filter((n) => n.role === "root");
  assert.ok(root.some((n) => t.truth.some((name) => n.label.includes(name))), `a root is ${t.truth}, not only ${root.map((n) => n.label)}`);
  assert.ok(nodes.some((n) => n.role !== "root" && t.shop.some((s) => n.label.startsWith(`service/${s} `))), `the chain reaches services of the shop: ${nodes.map((n) => n.label)}`);
  assert.equal(nodes.filter((n) => n.role === "users").length, 1, "the chain ends at the users");
  assert.ok((await page.locator("svg.chain path.edge").count()) >= nodes.length - root.length, "the nodes are joined");

  t.step("charts are drawn and the evidence has numbers");
  await charts(page, 2);
  const facts = await page.locator(".ev").allInnerTexts();
  assert.ok(facts.length >= 3, `${facts.length} facts`);
  for (const f of facts) assert.match(f, /\d/, `a fact without a number: ${f}`);
  assert.ok(facts.some((f) => f.startsWith("100 %") || /^\d/.test(f)), "facts have weights");
  assert.ok(facts.some((f) => t.truth.some((n) => f.includes(n))), `a fact of ${t.truth}`);
  await settled(page);
  await t.shot("incident-dark");

  t.step("picking a node of the chain shows its evidence only");
  await page.locator("svg.chain .node.root").first().click();
  const picked = await page.locator("section[aria-labelledby=evidence-h] .tag.accent").innerText();
  for (const f of await page.locator(".ev").allInnerTexts()) assert.ok(f.includes(picked.split(/\s/)[0]), `evidence of ${picked}: ${f}`);
  await page.locator("section[aria-labelledby=evidence-h] .tag.accent").click();

  t.step("why: what was seen, at which entity, and the reason");
  const more = page.locator("section[aria-labelledby=dev-h] > button");
  if (await more.count()) await more.click();
  const deviation = page.locator("section[aria-labelledby=dev-h] tbody tr").filter({ has: page.locator("td .name").filter({ hasText: t.isTruth }) }).first();
  await deviation.getByRole("button", { name: "why?" }).click();
  const why = await page.locator(".why").innerText();
  assert.ok(t.truth.some((n) => why.includes(n)), `why names the entity: ${why}`);
  assert.match(why, /(is|was) [\d.]+.* where .*\d.* to .*\d.* was expected|new|alert/, "why has the numbers");
  assert.match(why, /It belongs here because .{12,}\./, "why gives the reason");
  console.log(`  ${why.split("\n").slice(0, 2).join(" ")}`);

  t.step("an acknowledgement and a comment are kept");
  await page.getByLabel("Your name").fill("e2e");
  await page.getByLabel("Comment", { exact: true }).fill("seen by the browser test");
  await page.getByRole("button", { name: "Comment", exact: true }).click();
  await page.waitForSelector("ul.timeline >> text=seen by the browser test");
  if (await page.getByRole("button", { name: "Acknowledge" }).count()) {
    await page.locator("h1").click();
    await page.keyboard.press("a");
    await page.locator(".headline .mark", { hasText: "Acknowledged" }).waitFor();
  }
  const kept = await t.api(`incidents/${t.permalink.split("/").pop()}`);
  assert.ok(kept.timeline.some((e) => e.text.includes("seen by the browser test") && e.text.includes("e2e")), "Norn keeps who said what");
}
