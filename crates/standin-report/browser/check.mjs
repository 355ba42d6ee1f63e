// Opens each report offline in headless Chromium, in light and dark, at 1400, 768 and 400 pixels, and fails on: errors on the
// console, requests to anywhere, empty plots, horizontal scrolling of the page, headings that skip a level, violations of WCAG
// 2 A and AA or of best practices (axe-core), content that only the script shows, controls the keyboard does not reach or does
// not work, folds that do not print. Screenshots go into --out.
//
//   node check.mjs [--out FOLDER] REPORT.html…
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const options = process.argv.slice(2);
const at = options.indexOf("--out");
const out = at < 0 ? "screenshots" : options.splice(at, 2)[1];
if (options.length === 0) {
  console.error("usage: node check.mjs [--out FOLDER] REPORT.html…");
  process.exit(2);
}
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const found = [];

/** Opens a report offline; whatever goes wrong while it is open is found. */
// A picture to look at. The browser sometimes cannot take one while the machine is busy, which says nothing about the page.
async function picture(page, options) {
  try {
    await page.screenshot(options);
  } catch {
    await page.waitForTimeout(1000);
    await page.screenshot(options);
  }
}

async function open(file, name, settings) {
  const context = await browser.newContext({ offline: true, ...settings });
  const page = await context.newPage();
  const report = (what) => found.push(`${name}: ${what}`);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) report(`console: ${message.text()}`); });
  page.on("pageerror", (error) => report(`script: ${error.message}`));
  const url = pathToFileURL(resolve(file)).href;
  page.on("request", (request) => { if (!request.url().startsWith("data:") && request.url().split("#")[0] !== url) report(`request: ${request.url()}`); });
  await page.goto(url);
  return { context, page, report };
}

/** What a page shows wrongly whatever its size. */
function structure() {
  const wrong = [];
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) wrong.push(`heading "${heading.textContent.trim()}" is of level ${own} after level ${level}`);
    level = own;
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not exactly one h1");
  for (const plot of document.querySelectorAll("svg.plot")) {
    // One of two sizes is shown.
    if (plot.getClientRects().length === 0) continue;
    const title = plot.querySelector("title")?.textContent ?? "(untitled)";
    const marks = plot.querySelectorAll("path, circle, rect:not(.passing, .unmeasurable, .copied), polyline");
    const drawn = [...marks].filter((mark) => { const box = mark.getBBox(); return box.width > 0 || box.height > 0; });
    if (drawn.length === 0) wrong.push(`the plot "${title}" is empty`);
    const view = plot.viewBox.baseVal;
    for (const text of plot.querySelectorAll("text")) {
      const box = text.getBBox();
      if (!text.getAttribute("transform") && (box.x < view.x - 1 || box.x + box.width > view.x + view.width + 1)) wrong.push(`"${text.textContent}" is cut off in the plot "${title}"`);
    }
  }
  return wrong;
}

/** Elements that make the page scroll sideways. */
function overflow() {
  const { scrollWidth, clientWidth } = document.documentElement;
  const wide = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1 && !element.closest(".table, pre, svg, .skip"));
  return scrollWidth > clientWidth ? `the page scrolls sideways (${scrollWidth} of ${clientWidth} pixels): ${wide.slice(0, 3).map((element) => `${element.tagName.toLowerCase()}.${element.className}`).join(", ")}` : "";
}

/** Tables that scroll inside their region, with their captions. */
function scrollingTables() {
  // A matrix of everything with everything scrolls beside its names.
  return [...document.querySelectorAll(".table:not(:has(.matrix, svg.plot))")].filter((table) => table.scrollWidth > table.clientWidth + 1).map((table) => `the table "${table.querySelector("caption")?.textContent ?? table.getAttribute("aria-labelledby")}" scrolls sideways (${table.scrollWidth} of ${table.clientWidth} pixels)`);
}

async function axeViolations(page) {
  await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}, ${nodes.length} times, such as ${nodes[0].html.slice(0, 160)} (${nodes[0].failureSummary?.split("\n").slice(1, 2).join("").trim()})`);
}

/** Controls by the keyboard alone: sorting, choosing a release, filtering. */
async function keyboard(page, report) {
  const unreachable = await page.evaluate(() => [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")].filter((element) => element.tabIndex < 0).map((element) => element.outerHTML.slice(0, 80)));
  for (const element of unreachable) report(`the keyboard does not reach ${element}`);
  await page.keyboard.press("Tab");
  if (!(await page.evaluate(() => document.activeElement?.matches(".skip")))) report("the first stop is not the link to the content");
  const sort = page.locator("table.ready thead button").first();
  if (await sort.count()) {
    await sort.focus();
    await page.keyboard.press("Enter");
    const sorted = await sort.evaluate((button) => button.closest("th").getAttribute("aria-sort"));
    if (sorted !== "ascending") report("Enter on a column's button does not sort");
  }
  const choose = page.locator("button.choose").first();
  if (await choose.count()) {
    await choose.focus();
    await page.keyboard.press("Space");
    await page.evaluate(() => document.activeElement.blur());
    const chosen = await page.evaluate(() => [...document.querySelectorAll("svg g.chosen")].length);
    if (chosen === 0) report("choosing a release does not show it in a plot");
    await choose.focus();
    await page.keyboard.press("Space");
  }
  const filter = page.locator("#filter-text");
  if (await filter.count()) {
    const names = await page.evaluate(() => [...document.querySelectorAll(".card[data-release]")].map((card) => card.dataset.release));
    await filter.focus();
    await page.keyboard.type(names.at(-1));
    const shown = await page.evaluate(() => [...document.querySelectorAll(".card[data-release]:not([hidden])")].map((card) => card.dataset.release));
    const expected = names.filter((name) => name.toLowerCase().includes(names.at(-1).toLowerCase()));
    if (shown.join() !== expected.join()) report(`the filter shows ${shown.join(", ")} for ${names.at(-1)}`);
    await page.locator(".filter button[type=reset]").press("Enter");
    await page.waitForFunction((count) => document.querySelectorAll(".card[data-release]:not([hidden])").length === count, names.length);
  }
}

/** Without its script the page says all that it says with it, and does not scroll sideways either. */
async function withoutScript(file, name) {
  const words = async (javaScriptEnabled) => {
    const title = `${name}, ${javaScriptEnabled ? "with" : "without"} script`;
    const { context, page, report } = await open(file, title, { javaScriptEnabled, viewport: { width: 400, height: 900 } });
    const sideways = await page.evaluate(overflow);
    if (sideways) report(sideways);
    if (!javaScriptEnabled) await picture(page, { path: join(out, `${name}-400-without-script.png`) });
    const text = await page.evaluate(() => [...document.querySelectorAll("main :is(p, li, dt, dd, th, td, h2, h3, h4, caption, figcaption)")].map((element) => element.textContent.replace(/[↕↑↓]/g, "").replace(/\s+/g, " ").trim()));
    await context.close();
    return text;
  };
  const [plain, scripted] = [await words(false), await words(true)];
  const missing = scripted.filter((text) => !plain.includes(text));
  if (plain.length < 20 || missing.length > 0) found.push(`${name}: only the script shows ${missing.slice(0, 3).join(" | ") || "the page"}`);
}

for (const file of options) {
  const folder = basename(dirname(resolve(file)));
  const name = `${folder}-${basename(file, ".html")}`;
  const before = found.length;
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1400, 768, 400]) {
      const title = `${name}-${width}-${colorScheme}`;
      const { context, page, report } = await open(file, title, { colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" });
      const sideways = await page.evaluate(overflow);
      if (sideways) report(sideways);
      if (width !== 768 && colorScheme === "light") for (const table of await page.evaluate(scrollingTables)) report(table);
      if (width === 1400 && colorScheme === "light") {
        await picture(page, { path: join(out, `${title}-first.png`) });
        await keyboard(page, report);
      }
      await page.evaluate(() => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
      const unfolded = await page.evaluate(overflow);
      if (unfolded && !sideways) report(`unfolded, ${unfolded}`);
      if (width !== 768) for (const violation of await axeViolations(page)) report(violation);
      if (width !== 768 && colorScheme === "light") for (const wrong of await page.evaluate(structure)) report(wrong);
      await picture(page, { path: join(out, `${title}.png`), fullPage: (await page.evaluate(() => document.documentElement.scrollHeight)) < 16000 });
      await context.close();
    }
  }
  await withoutScript(file, name);
  const { context, page, report } = await open(file, `${name}-print`, { viewport: { width: 1000, height: 900 } });
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  const shut = await page.evaluate(() => document.querySelectorAll("details:not([open])").length);
  if (shut > 0) report(`${shut} folds do not open for printing`);
  await context.close();
  console.log(`${file}: ${found.length === before ? "sound" : `${found.length - before} findings`}`);
}
await browser.close();
for (const finding of new Set(found)) console.error(`  ${finding}`);
process.exit(found.length > 0 ? 1 : 0);
