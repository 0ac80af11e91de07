// A doubter: draws, looks before the end, then checks the own draw, the ledger, and a ledger that somebody changed.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { faultsOf, register, run } from "./browser.mjs";

const LONG = { timeout: 60_000 }; // a busy machine

async function drawn(page) {
  await page.click("[data-test=draw]", LONG);
  await page.waitForSelector("[data-test=again]", LONG);
}

/** Somebody else draws as well, who is not looked at. */
async function drawnByAnother({ edge, activity, username }) {
  const post = async (path, body, token = "") => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    return (await (await fetch(edge + path, { method: "POST", headers, body: JSON.stringify(body) })).json()).data;
  };
  const { access_token } = await post("/api/auth/register", { username: `${username}-2`, password: "correct horse" });
  await post("/api/lottery/draw", { activity_id: activity, request_id: "another" }, access_token);
}

async function verdictOf(page, what) {
  const told = await page.waitForSelector(`[data-test=${what}-verdict]`, LONG);
  const outcomes = await page.locator("[data-outcome]").evaluateAll((all) => all.map((one) => one.dataset.outcome));
  return { verdict: await told.getAttribute("data-verdict"), said: await told.textContent(), outcomes };
}

async function checkFile(page, path) {
  await page.setInputFiles("[data-test=file]", path);
  return verdictOf(page, "ledger");
}

/** Ends the activity, and waits until its seed is revealed. */
async function end({ edge, token, activity }, drawId) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const body = JSON.stringify({ status: "ended" });
  await fetch(`${edge}/admin/api/activities/${activity}`, { method: "PUT", headers, body });
  for (const until = Date.now() + LONG.timeout; Date.now() < until; ) {
    const answer = await fetch(`${edge}/api/lottery/result/${drawId}/verification`);
    if ((await answer.json()).data?.seed) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the seed was not revealed");
}

/** The ledger with the prize of one draw taken away, its lines as they were. */
async function tampered(path, place) {
  const lines = gunzipSync(await readFile(path)).toString().split("\n");
  const at = lines.findIndex((line) => JSON.parse(line || "{}").first_seq === place);
  const entry = JSON.parse(lines[at]);
  entry.draws[0][5] = 0;
  lines[at] = JSON.stringify(entry);
  const changed = path.replace(".jsonl.gz", "-changed.jsonl");
  await writeFile(changed, lines.join("\n"));
  return changed;
}

await run(async (open, asked) => {
  const { activity, username, command, ledger } = asked;
  const player = await open({ reducedMotion: "reduce" });
  const faults = [];
  await player.goto(`/activities/${activity}`);
  await register(player, username);
  await drawn(player);
  await drawnByAnother(asked);
  await player.goto("/prizes");
  await player.locator("main li a", { hasText: "Check it yourself" }).click(LONG);
  const before = await verdictOf(player, "draw");
  const drawId = new URL(player.url()).searchParams.get("draw");
  faults.push(...(await faultsOf(player, "before the reveal")));

  await end(asked, drawId);
  await promisify(execFile)(command[0], command.slice(1), { env: { ...process.env, ...asked.environment } });
  await player.reload();
  const after = await verdictOf(player, "draw");
  faults.push(...(await faultsOf(player, "draw")));

  const whole = await checkFile(player, ledger);
  await player.waitForSelector("[data-test=sight]");
  faults.push(...(await faultsOf(player, "ledger")));
  const place = Number(drawId.split("-")[1]);
  const changed = await checkFile(player, await tampered(ledger, place));
  const picture = await open({ width: 1440, height: 900, locale: "ja-JP", colorScheme: "dark" });
  await picture.goto(`/verify?activity=${activity}`);
  const heading = await picture.textContent("h1");
  await picture.waitForSelector("main ul a.entry", LONG);
  faults.push(...(await faultsOf(picture, "activity")));
  await picture.setInputFiles("[data-test=file]", { name: "x.jsonl", mimeType: "text/plain", buffer: Buffer.from("no\n") });
  const unfit = await (await picture.waitForSelector("[data-test=unfit]", LONG)).textContent();
  return { drawId, before, after, whole, changed, heading, unfit, faults };
});
