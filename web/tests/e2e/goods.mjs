// An operator makes goods, opens boxes, gives a card, reads the records, blocks and lifts, and finds all of it in the audit log.
import { readFileSync } from "node:fs";
import { faultsOf, run } from "./browser.mjs";

const STILL = { reducedMotion: "reduce" }; // axe looks at colours as they stay
const WIDE = { width: 1440, height: 900 };

async function signIn(page, { username, password }, next) {
  await page.goto(`/admin/sign-in?next=${encodeURIComponent(next)}`);
  await page.fill("#username", username);
  await page.fill("#password", password);
  await page.click("form button");
}

async function fillItem(page, place, title, units, price, level) {
  await page.click("[data-test=add-item]");
  const item = page.locator("[data-test=item]").nth(place);
  await item.locator("[name=item-title]").fill(title);
  await item.locator("select").selectOption({ label: level });
  if (units) await item.locator("[name=item-stock]").fill(units);
  else await item.locator("[data-test=last-prize]").check();
  await item.locator("[name=item-price]").fill(price);
}

/** Waits until no save is left. */
async function saved(page) {
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=save]", { state: "detached" });
}

async function makeGoods(page, title) {
  await page.click("[data-test=new-goods]");
  await page.fill("[name=title]", title);
  await page.fill("[name=price]", "5");
  for (const name of ["A", "B"]) {
    await page.click("[data-test=add-level]");
    await page.locator("[data-test=level]").last().fill(name);
  }
  await fillItem(page, 0, "Lamp", "2", "30", "A");
  await fillItem(page, 1, "Candle", "x", "2.50", "B");
  await fillItem(page, 2, "The last lantern", "", "60", "A");
  await page.click("[data-test=save]"); // an item has no number of units
  const wrong = await page.locator("[name=item-stock][aria-invalid]").inputValue();
  await page.locator("[name=item-stock]").nth(1).fill("8");
  const odds = await page.locator("[data-test=odds] .share").allTextContents();
  const tickets = await page.textContent("[data-test=tickets]");
  await saved(page);
  await page.waitForURL(/\/admin\/goods\/\d+$/);
  return { id: new URL(page.url()).pathname.split("/").pop(), odds, tickets, wrong };
}

/** The second of two editors, in Chinese, meets the first one's version. */
async function meet(first, second, id) {
  await second.goto(`/admin/goods/${id}`);
  await second.waitForSelector("[name=title]");
  await first.fill("[name=title]", "Night lanterns");
  await saved(first);
  await second.fill("[name=title]", "Day lanterns");
  await second.fill("[name=protection]", "45");
  await second.click("[data-test=save]");
  const field = second.locator("[data-test=conflict] [data-field=title]");
  await field.waitFor();
  const sides = await field.locator(".side strong").allTextContents();
  const heading = await second.textContent("#conflict-heading");
  const faults = await faultsOf(second, "conflict");
  await field.locator("input[value=mine]").check();
  await second.click("[data-test=settle]");
  await second.waitForSelector("[data-test=conflict]", { state: "detached" });
  await first.reload();
  await first.waitForSelector("[name=title]");
  const kept = [await first.inputValue("[name=title]"), await first.inputValue("[name=protection]")];
  return { sides, heading, kept, faults };
}

async function openBoxes(page, id) {
  await page.click("[data-test=on-shelf]");
  await page.waitForSelector("[data-test=off-shelf]");
  await page.goto(`/admin/goods/${id}/boxes`);
  await page.click("[data-test=open-boxes]");
  await page.fill("#box-count", "2");
  const faults = await faultsOf(page, "opening boxes");
  await page.click("[data-test=confirm]");
  await page.locator("[data-test=box]").nth(1).locator(".stocks li").nth(1).waitFor();
  return faults;
}

async function giveCard(page, { buyer }, title) {
  await page.goto("/admin/cards");
  await page.locator("form input[list]").fill(buyer.username);
  await page.selectOption("#card-goods", { label: title });
  await page.locator("form [data-test=user]", { hasText: buyer.user_id }).waitFor();
  await page.click("[data-test=give]");
  return (await page.locator("[data-test=given]").textContent()).match(/: (\d+)$/)[1];
}

async function drawWith(edge, { access_token }, goods, card) {
  const body = JSON.stringify({ goods_id: Number(goods), item_card_id: Number(card), num: 1 });
  const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
  return (await fetch(`${edge}/api/blindbox/item_card_draw`, { method: "POST", headers, body })).json();
}

/** Shows the records until as many of them are there: a draw is recorded a moment after it was answered. */
async function shown(page, count) {
  for (;;) {
    await page.click("[data-test=show]");
    await page.waitForSelector("[data-test=facts][data-state=done]");
    if ((await page.locator("[data-test=facts] dd").first().textContent()) === String(count)) return;
  }
}

async function download(page, button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  const text = readFileSync(await file.path(), "utf8");
  await page.waitForSelector("[data-test=download][data-state=done]");
  return text;
}

async function readRecords(page, { activity, buyer, draws }) {
  await page.goto(`/admin/records?activity=${activity}`);
  await shown(page, draws);
  const faults = await faultsOf(page, "records");
  const all = await download(page, "[data-test=csv-all]");
  await page.selectOption("#outcome", "won");
  await page.fill("#user", buyer.username);
  await page.click("[data-test=show]");
  await page.waitForFunction((count) => document.querySelectorAll("[data-test=record]").length < count, draws);
  await page.waitForSelector("[data-test=facts][data-state=done]");
  const rows = await page.locator("[data-test=record] strong").allTextContents();
  const filtered = await download(page, "[data-test=csv-filtered]");
  return { all, filtered, rows, faults };
}

async function block(page, { buyer, reason }) {
  await page.goto("/admin/blocks");
  await page.click("[data-test=add-block]");
  await page.locator("[role=dialog] input[list]").fill(buyer.username);
  await page.locator("[role=dialog] [data-test=user]", { hasText: buyer.user_id }).waitFor();
  await page.fill("#block-reason", reason);
  await page.locator("[role=dialog] .spans button").nth(1).click();
  const faults = await faultsOf(page, "blocking");
  await page.click("[data-test=confirm]");
  const line = page.locator("[data-test=block]", { hasText: reason });
  await line.waitFor();
  faults.push(...(await faultsOf(page, "blocks")));
  return { line, faults };
}

async function refused(edge, { access_token }, activity) {
  const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
  const answer = await fetch(`${edge}/api/lottery/draw`, { method: "POST", headers, body: JSON.stringify({ activity_id: activity }) });
  return (await answer.json()).reason;
}

async function audited(page, kind, subject, count) {
  await page.selectOption("#kind", kind);
  await page.fill("#subject", subject);
  await page.click("[data-test=show]");
  await page.waitForFunction(
    ([start, most]) => {
      const found = [...document.querySelectorAll("[data-test=entry] .what .mono")].map((one) => one.textContent);
      return found.length >= most && found.every((one) => one.startsWith(start));
    },
    [subject, count],
  );
  return page.locator("[data-test=entry] .what strong").allTextContents();
}

await run(async (open, asked) => {
  const { edge, admin, buyer, activity } = asked;
  const first = await open({ ...STILL, ...WIDE });
  const second = await open({ ...STILL, ...WIDE, locale: "zh-CN", colorScheme: "dark" });
  for (const page of [first, second]) {
    page.context().setDefaultTimeout(60_000);
    await page.addInitScript(() => delete globalThis.showSaveFilePicker); // a dialog that only a person can answer
  }
  const faults = [];
  await signIn(first, admin, "/admin/goods");
  const made = await makeGoods(first, asked.title);
  faults.push(...(await faultsOf(first, "set-up")));
  await signIn(second, admin, "/admin/goods");
  await second.waitForSelector(".goods li");
  faults.push(...(await faultsOf(second, "goods")));
  const met = await meet(first, second, made.id);
  faults.push(...met.faults, ...(await openBoxes(first, made.id)));
  faults.push(...(await faultsOf(first, "boxes")));

  const card = await giveCard(first, asked, "Day lanterns");
  const drawn = await drawWith(edge, buyer, made.id, card);
  await first.reload();
  const row = first.locator("[data-test=card]", { has: first.locator("td", { hasText: new RegExp(`^${card}$`) }) });
  const cardState = await row.locator(".tag").textContent();
  faults.push(...(await faultsOf(first, "cards")));
  await first.goto("/admin/records/boxes");
  await first.selectOption("#goods", made.id);
  const record = await first.locator("[data-test=box-record]").first().textContent();
  faults.push(...(await faultsOf(first, "box records")));
  const boxes = await download(first, "[data-test=csv-boxes]");

  await first.setViewportSize({ width: 390, height: 844 });
  const records = await readRecords(first, asked);
  const { line, faults: more } = await block(first, asked);
  faults.push(...records.faults, ...more);
  const whileBlocked = await refused(edge, buyer, activity);
  await line.locator("[data-test=lift]").click();
  await first.click("[data-test=confirm]");
  await line.waitFor({ state: "detached" });
  const afterwards = await refused(edge, buyer, activity);

  await first.goto("/admin/audit");
  const actions = {
    goods: await audited(first, "goods", `goods:${made.id}`, 4),
    boxes: await audited(first, "boxes", `goods:${made.id}`, 1),
    cards: await audited(first, "cards", `user:${buyer.user_id}`, 1),
    blocks: (await audited(first, "block", "block:", 2)).slice(0, 2),
  };
  faults.push(...(await faultsOf(first, "audit")));
  await audited(first, "goods", `goods:${made.id}`, 4);
  const told = await first.locator("[data-test=entry] del").allTextContents();
  const log = await download(first, "[data-test=csv-audit]");
  return { made, met, card: cardState, drawn, record, boxes, records, whileBlocked, afterwards, actions, told, log, faults };
});
