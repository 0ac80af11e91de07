// Takes pictures of pages, as tests/screenshots asks for them on the standard input; says each in a line.
import { readFileSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars"];
const SIZES = [{ width: 390, height: 844, most: 1700 }, { width: 1440, height: 900, most: 1400 }];
const SCHEMES = ["light", "dark"];
const SETTLED_MS = 500;

const { edge, folder, pages, player, admin, names } = JSON.parse(readFileSync(0, "utf8"));

/** What the browser keeps of who is signed in, and of the orders that were looked up. */
function storageOf(roles) {
  const kept = ({ user_id, username, access_token, refresh_token, expires_in }) =>
    JSON.stringify({ user_id, username, access_token, refresh_token, expires_at: Date.now() + 1000 * expires_in });
  const localStorage = Object.entries(roles).map(([role, session]) => ({ name: `kuji.session.${role}`, value: kept(session) }));
  localStorage.push({ name: `kuji.orders.${player.user_id}`, value: JSON.stringify([names.order]) });
  return { cookies: [], origins: [{ origin: edge, localStorage }] };
}

/** As much of the page as is worth showing; WebP, which Playwright itself does not write. */
async function pictured(page, { width, most }) {
  const height = Math.min(most, await page.evaluate(() => document.documentElement.scrollHeight));
  const session = await page.context().newCDPSession(page);
  const clip = { x: 0, y: 0, width, height, scale: 1 };
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 50, captureBeyondViewport: true, clip });
  return Buffer.from(data, "base64");
}

/** All pictures of a page, of one visit: what it shows stays the same. */
async function take(context, shown) {
  const page = await context.newPage();
  await page.goto(shown.path.replace(/\{(\w+)\}/g, (_, name) => names[name]));
  if (shown.click) await page.click(shown.click);
  await page.waitForSelector(shown.wait);
  for (const size of SIZES) {
    await page.setViewportSize(size);
    await page.evaluate((far) => scrollTo(0, far), size.most); // what is loaded when it is seen
    await page.waitForTimeout(SETTLED_MS);
    await page.evaluate(() => scrollTo(0, 0));
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(SETTLED_MS);
      const file = `${shown.name}-${size.width}-${colorScheme}.webp`;
      writeFileSync(`${folder}/${file}`, await pictured(page, size));
      console.log(file);
    }
  }
  await page.close();
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: QUIET });
try {
  for (const [role, roles] of Object.entries({ nobody: {}, player: { player }, admin: { admin } })) {
    const options = { baseURL: edge, viewport: SIZES[0], reducedMotion: "reduce", locale: "en-GB" };
    const context = await browser.newContext({ ...options, storageState: storageOf(roles) });
    context.setDefaultTimeout(120_000);
    for (const shown of pages.filter((one) => (one.as ?? "nobody") === role)) await take(context, shown);
    await context.close();
  }
} finally {
  await browser.close();
}
