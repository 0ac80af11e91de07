// A buyer on a phone: finds a box, opens an item card with a cut and a reload in the middle, finds an order; another
// browser looks on in Japanese, and a developer plays the shop.
import { faultsOf, loseAnswers, run } from "./browser.mjs";

const STILL = { reducedMotion: "reduce" }; // axe looks at colours as they stay

async function signIn(page, { username, password }) {
  await page.fill("#username", username);
  await page.fill("#password", password);
  await page.click("form button");
}

await run(async (open, { goods, title, buyer, order, admin }) => {
  const phone = await open(STILL);
  const faults = [];
  const box = `/boxes/${goods}/1`;

  await phone.goto("/boxes");
  const link = phone.locator(`article.goods a[href="${box}"]`);
  await link.scrollIntoViewIfNeeded();
  await link.locator(".level").first().waitFor();
  const wall = await link.innerText();
  faults.push(...(await faultsOf(phone, "wall")));
  await link.click();
  await phone.click("main .invite a");
  await signIn(phone, buyer);
  await phone.waitForSelector("[data-test=open]");
  await phone.waitForSelector("main .item .chance");
  faults.push(...(await faultsOf(phone, "box")));

  const draws = await loseAnswers(phone, "**/api/blindbox/item_card_draw");
  await phone.click("[data-test=open]");
  while (draws.length < 2) await phone.waitForTimeout(50);
  await phone.reload();
  await phone.waitForSelector("[data-test=again]");
  const item = await phone.textContent(".stage .item");
  const code = await phone.textContent(".stage .after code");
  await phone.waitForSelector("[data-test=held]");
  faults.push(...(await faultsOf(phone, "opened")));
  await phone.click("[data-test=again]");
  await phone.click("[data-test=open]");
  await phone.waitForSelector("[data-test=again]");
  const second = await phone.textContent(".stage .after code");

  await phone.goto("/boxes/mine");
  await phone.waitForSelector("[data-test=opened] >> nth=1");
  await phone.locator("[data-test=opened] code").nth(1).waitFor();
  const opened = await phone.locator("[data-test=opened] code").allTextContents();
  await phone.fill("#order", order);
  await phone.click("main form button");
  await phone.waitForSelector("[data-test=order] code");
  const ordered = await phone.locator("[data-test=order] code").allTextContents();
  faults.push(...(await faultsOf(phone, "mine")));

  const wide = { ...STILL, width: 1440, height: 900, locale: "ja-JP", colorScheme: "dark" };
  const watcher = await open(wide);
  await watcher.goto("/boxes");
  await watcher.waitForSelector("article.goods .level");
  const heading = await watcher.textContent("h1");
  faults.push(...(await faultsOf(watcher, "wall in Japanese")));
  await watcher.goto(box);
  await watcher.waitForSelector("ol li .what");
  await watcher.waitForSelector("[data-test=held]");
  const records = await watcher.locator("ol li .what strong").allTextContents();
  faults.push(...(await faultsOf(watcher, "box in Japanese")));

  await phone.goto("/boxes/play-shop");
  await phone.fill("#staff", admin.username);
  await phone.fill("#secret", admin.password);
  await phone.click("main form button");
  await phone.selectOption("#goods", { label: title });
  await phone.fill("#count", "2");
  await phone.locator("main form button").first().click();
  await phone.waitForSelector("section[aria-labelledby=placed] code >> nth=1");
  faults.push(...(await faultsOf(phone, "play shop")));
  const bought = await phone.locator("section[aria-labelledby=placed] code").allTextContents();
  return { wall, draws: draws.slice(0, 3), item, code, second, opened, ordered, heading, records, bought, faults };
});
