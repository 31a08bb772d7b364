// Prints the gzip size of what the first page loads and of every chunk; fails over the budget.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const budget = 200 * 1024;
const dir = new URL("../dist/", import.meta.url);
const size = (name) => gzipSync(readFileSync(new URL(name, dir)), { level: 9 }).length;
const html = readFileSync(new URL("index.html", dir), "utf8");
const first = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((m) => m[1]);
for (const f of readdirSync(new URL("assets/", dir)).sort()) console.log(String(size(`assets/${f}`)).padStart(8), f);
const total = first.reduce((n, f) => n + size(f), 0);
console.log(`first page: ${(total / 1024).toFixed(1)} KiB of JavaScript (gzip), budget ${budget / 1024} KiB`);
if (total > budget) process.exit(1);
