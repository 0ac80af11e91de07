// An operator who knows only the page, by the steps of docs/campaign.md: draft, prizes, simulator, open, watch, restock,
// pause, end, proof. Somebody else edits in between, a viewer looks on, and a second person is asked for once.
// With `shots`, the pictures of the document are taken on the way.
import { faultsOf, run } from "./browser.mjs";

const STILL = { reducedMotion: "reduce", colorScheme: "light" };
const WIDE = { width: 1280, height: 860 };

async function call(edge, verb, path, token, body) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const answer = await fetch(edge + path, { method: verb, headers, body: JSON.stringify(body) });
  return answer.json();
}

async function signIn(page, { username, password }) {
  await page.goto("/admin");
  await page.fill("#username", username);
  await page.fill("#password", password);
  await page.click("form button");
  await page.waitForURL("**/admin/activities");
  await page.waitForSelector(".admin-page h1");
}

async function addPrize(page, { name, units, percent }) {
  await page.click("[data-test=add-prize]");
  const form = page.locator("[data-test=prize-form]");
  await form.locator("#name").fill(name);
  await form.locator("#total_count").fill(String(units));
  await form.locator("#probability").fill(String(percent));
  return form;
}

async function savePrize(page) {
  await page.click("[data-test=save-prize]");
  await page.waitForSelector("[data-test=prize-form]", { state: "detached" });
}

/** Opens, pauses or ends, past the dialog that says what it means. */
async function step(page, name, status) {
  await page.click(`[data-test=${name}]`);
  await page.waitForSelector("[data-test=state]");
  if (name === "end") await page.check("[data-test=state] input[type=checkbox]");
  const told = await page.locator("[data-test=state] dd").allTextContents();
  await page.click("[data-test=confirm]");
  await page.waitForSelector("[data-test=state]", { state: "detached" });
  await page.waitForSelector(`[data-test=status].${status}`);
  return told;
}

const text = (page, selector, wanted) => page.locator(selector, { hasText: wanted }).waitFor();

await run(async (open, { edge, admin, token, player, viewer, shots }) => {
  const faults = [];
  const picture = async (page, name, fullPage = false) => {
    if (shots) await page.screenshot({ path: `${shots}/campaign-${name}.png`, animations: "disabled", fullPage });
  };
  const look = async (page, name) => {
    faults.push(...(await faultsOf(page, name)));
    await picture(page, name);
  };

  // 1. Sign in.
  const page = await open({ ...STILL, ...WIDE, acceptDownloads: true });
  await page.goto("/admin");
  await page.waitForSelector("#password");
  await look(page, "sign-in");
  await signIn(page, admin);

  // 2. A draft.
  await page.click("[data-test=new]");
  await page.fill("#name", "Lantern festival");
  await page.fill("#description", "One draw a minute, three evenings long.");
  await look(page, "new");
  await page.click("[data-test=create]");
  await page.waitForSelector("[data-test=add-prize]");
  const id = page.url().split("/").at(-1);

  // 3. Prizes; too much is warned of before it is saved, and refused by the server at the field.
  await addPrize(page, { name: "Paper lantern", units: 40, percent: 130 });
  await page.waitForSelector("[data-test=warnings]");
  await page.fill("#probability", "50");
  await page.fill("#forecast-draws", "200");
  await page.press("#forecast-draws", "Tab");
  await look(page, "prize");
  await savePrize(page);
  await addPrize(page, { name: "Lacquer box", units: 3, percent: 60 });
  await page.click("[data-test=save-prize]");
  await page.waitForSelector("[data-test=prize-form] [role=alert]");
  const wrong = await page.getAttribute("#probability", "aria-invalid");
  await page.fill("#probability", "2");
  await savePrize(page);

  // 4. The simulator.
  await page.waitForSelector("tbody tr:nth-child(2)");
  await page.click("[data-test=simulate]");
  await page.waitForSelector("[data-test=simulated]");
  await page.locator("[data-test=simulated]").scrollIntoViewIfNeeded();
  await look(page, "simulated");

  // 5. Open it.
  await page.click("[data-test=open]");
  await page.waitForSelector("[data-test=state]");
  await look(page, "open");
  await page.keyboard.press("Escape");
  await page.waitForSelector("[data-test=state]", { state: "detached" });
  const opened = await step(page, "open", "good");

  // 6. Watch it.
  const drawn = [];
  for (let i = 0; i < 30; i++) drawn.push(await call(edge, "POST", "/api/lottery/draw", player, { activity_id: id }));
  const wins = drawn.filter(({ data }) => data.won).length;
  await text(page, "[data-test=draws]", /^30$/);
  await text(page, "[data-test=wins]", new RegExp(`^${wins}$`));
  const books = await page.textContent("[data-test=books]");
  await page.locator(".track").first().waitFor();
  faults.push(...(await faultsOf(page, "watch")));
  await picture(page, "watch", true);

  // 7. Restock, while somebody else renames the prize.
  await page.locator("[data-test=edit-prize]").first().click();
  await page.fill("#total_count", "60");
  const prize = await call(edge, "GET", `/admin/api/prizes?activity_id=${id}`, token);
  const lantern = prize.data.prizes[0].prize_id;
  await call(edge, "PUT", `/admin/api/prizes/${lantern}`, token, { name: "Silk lantern", total_count: 50 });
  await page.click("[data-test=save-prize]");
  await page.waitForSelector("[data-test=conflict]");
  await page.check("[data-test=conflict] input[value=mine][name=choose-total_count]");
  await look(page, "conflict");
  await page.click("[data-test=merge]");
  await page.waitForSelector("[data-test=prize-form]", { state: "detached" });
  await text(page, "tbody tr", /Silk lantern.*60/s);

  // 8. Pause; the very next draw is refused.
  const paused = await step(page, "pause", "warm");
  const refused = await call(edge, "POST", "/api/lottery/draw", player, { activity_id: id });

  // A phone, in Chinese, to a viewer: nothing to be pressed that the role may not.
  const phone = await open({ ...STILL, colorScheme: "dark", locale: "zh-CN" });
  await signIn(phone, viewer);
  const heading = await phone.textContent("h1");
  await phone.goto(`/admin/activities/${id}`);
  await phone.locator(".track").first().waitFor();
  await look(phone, "phone");
  const offered = await phone.locator("[data-test=resume], [data-test=end], [data-test=add-prize], [data-test=simulate]").count();
  await phone.click(".opener");
  await phone.locator("[role=dialog] nav a").first().waitFor();
  faults.push(...(await faultsOf(phone, "phone-menu")));
  await phone.goto("/admin/activities/new"); // may not be seen either
  await phone.waitForURL("**/admin/activities");

  // 9. End it; a second person is asked for once.
  let asked = 0;
  await page.route(`**/admin/api/activities/${id}`, async (route) => {
    if (asked++) return route.continue();
    const metadata = { approval_id: "7", expires_at: "2030-01-02T03:04:05Z" };
    await route.fulfill({ status: 409, json: { status: 0, msg: "waits", reason: "APPROVAL_PENDING", metadata, data: null } });
  });
  await page.click("[data-test=end]");
  await page.check("[data-test=state] input[type=checkbox]");
  await page.click("[data-test=confirm]");
  await page.waitForSelector("[data-test=pending]");
  await picture(page, "pending");
  await page.locator("[data-test=state] button").last().click();
  await page.waitForSelector("[data-test=state]", { state: "detached" });
  const ended = await step(page, "end", "tag");
  await page.waitForSelector("[data-test=seed]");
  await page.locator("[data-test=proof]").scrollIntoViewIfNeeded();
  await look(page, "proof");
  const seed = await page.textContent("[data-test=seed] code");

  // 10. Take the draws along.
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("[data-test=export]")]);
  const lines = await read(download);

  // Somebody else's request, to be approved; the suite's servers ask for no second person.
  const request = { approval_id: "8", status: "pending", action: "prize.update", subject: "prize:1", requested_by: "haruka" };
  const times = { created_at: "2026-01-02T03:04:05Z", expires_at: "2030-01-02T03:04:05Z", decided_by: "", decided_at: null };
  const waiting = { ...request, ...times, detail: JSON.stringify({ total_count: { from: 40, to: 60 } }) };
  let approvals = [waiting];
  await page.route("**/admin/api/approvals**", async (route) => {
    if (route.request().method() === "POST") approvals = [{ ...waiting, status: "approved", decided_by: admin.username }];
    const data = route.request().method() === "POST" ? approvals[0] : { approvals, page: 1, page_size: 20, has_more: false };
    await route.fulfill({ json: { status: 1, msg: "ok", data } });
  });
  await page.goto("/admin/approvals");
  await page.click("[data-test=approve]");
  await text(page, "[data-test=approval]", admin.username);
  faults.push(...(await faultsOf(page, "approvals")));
  return { id, wrong, opened, paused, ended, wins, books, refused: refused.reason, heading, offered, seed, lines, faults };
});

async function read(download) {
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  return Buffer.concat(parts).toString("utf8").trim().split("\n").length;
}
