// What the browser tests share: Debian's Chromium, and what is noted of each page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const ALONE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Runs `journey` with what opens pages, and prints, as JSON, what it gives and what was noted meanwhile. */
export async function run(journey) {
  const asked = JSON.parse(process.argv[2]);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...QUIET, ...ALONE] });
  const complaints = [];
  const open = (options) => opened(browser, asked.edge, options, complaints);
  try {
    const found = await journey(open, asked);
    console.log(JSON.stringify({ ...found, complaints }));
  } finally {
    await browser.close();
  }
}

async function opened(browser, baseURL, { width = 390, height = 844, ...options }, complaints) {
  const context = await browser.newContext({ baseURL, viewport: { width, height }, ...options });
  context.setDefaultTimeout(60_000);
  await context.addInitScript(() => delete globalThis.showSaveFilePicker); // a dialog that only a person can answer
  const page = await context.newPage();
  page.on("console", (said) => said.type() === "error" && complaints.push(said.text())); // the policy's as well
  page.on("pageerror", (error) => complaints.push(error.message));
  return page;
}

/** What axe finds on the page, and whether it is wider than its window. */
export async function faultsOf(page, name) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document);
    const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
    const told = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
    return [...told, ...(wide ? ["wider than its window"] : [])];
  });
  return found.map((fault) => `${name}: ${fault}`);
}

/** Lets the first call to `path` lose its answer, the second wait for ever, and the others pass; notes all of them. */
export async function loseAnswers(page, path) {
  const calls = [];
  await page.route(path, async (route) => {
    const answer = await route.fetch();
    const { data } = await answer.json();
    calls.push({ asked: route.request().postDataJSON(), data });
    if (calls.length === 1) return route.abort("connectionreset");
    if (calls.length > 2) return route.fulfill({ response: answer });
  });
  return calls;
}

/** Makes a player, from a page for those who are signed in. */
export async function register(page, username) {
  await page.locator("main a", { hasText: "Register" }).click();
  await page.fill("#username", username);
  await page.fill("#password", "correct horse");
  await page.click("form button");
}
