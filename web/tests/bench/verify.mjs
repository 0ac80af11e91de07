// How fast /verify replays a ledger in Chromium: node tests/bench/verify.mjs http://127.0.0.1:8080 [draws]
import { createHash, createHmac } from "node:crypto";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { chromium } from "playwright-core";

const PPB = 1_000_000_000;
const SEED = Buffer.alloc(32, 7);
const BATCH = 20; // draws in a step
const WEIGHT = 10_000_000;

function packed(value) {
  if (Array.isArray(value)) {
    const head = value.length < 16 ? [0x90 | value.length] : [0xdc, value.length >> 8, value.length & 255];
    return Buffer.concat([Buffer.from(head), ...value.map(packed)]);
  }
  if (typeof value === "string") return Buffer.concat([Buffer.from(value.length < 32 ? [0xa0 | value.length] : [0xd9, value.length]), Buffer.from(value)]);
  if (value < 128) return Buffer.from([value]);
  const [kind, size] = value < 2 ** 8 ? [0xcc, 1] : value < 2 ** 16 ? [0xcd, 2] : value < 2 ** 32 ? [0xce, 4] : [0xcf, 8];
  const bytes = Buffer.alloc(9);
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return Buffer.concat([Buffer.from([kind]), bytes.subarray(9 - size)]);
}

/** Writes a lottery of one prize that never runs out, as docs/proof.md says; half as many users as draws. */
async function write(path, draws) {
  const out = createWriteStream(path);
  const say = async (line) => out.write(`${JSON.stringify(line)}\n`) || (await once(out, "drain"));
  let link = "";
  const linked = (id, content) => (link = createHash("sha1").update(link + id).update(content).digest("hex"));
  const commitment = createHash("sha256").update(SEED).digest("hex");
  await say({ kind: "pool", format: 1, pool_id: 1, activity_id: 3, seed_commitment: commitment, seed: SEED.toString("hex"), seq: draws, version: 1 });
  const prize = { prize_id: "1", units: String(draws), weight: String(WEIGHT), enabled: true };
  const config = JSON.stringify({ mode: "POOL_MODE_ODDS", status: "POOL_STATUS_OPEN", prizes: [prize] });
  const units = [[1, draws, draws]];
  const stamp = 1_700_000_000_000;
  linked("0-1", Buffer.concat([Buffer.from(config), packed(units), Buffer.from(String(stamp))]));
  await say({ kind: "config", after_seq: 0, version: 1, config, units, changed_ms: stamp, link });
  const limit = 2 ** 48 - (2 ** 48 % PPB);
  for (let first = 1; first <= draws; first += BATCH) {
    const made = Array.from({ length: Math.min(BATCH, draws - first + 1) }, (_, at) => {
      const seq = first + at;
      const user = 1 + (seq % (draws / 2));
      const id = seq.toString(16).padStart(32, "0");
      const roll = createHmac("sha256", SEED).update(`1|${user}|${id}|0`).digest();
      const number = [0, 6, 12, 18].map((from) => roll.readUIntBE(from, 6)).find((one) => one < limit);
      const ticket = number % PPB;
      const won = ticket < WEIGHT;
      return [user, id, 0, 1, seq <= draws / 2 ? 1 : 2, won ? 1 : 0, ticket, won ? WEIGHT : PPB - WEIGHT, PPB];
    });
    const drawn_ms = stamp + first;
    linked(`${first + made.length - 1}-0`, packed([drawn_ms, 1, made]));
    await say({ kind: "entry", first_seq: first, drawn_ms, version: 1, link, draws: made });
  }
  out.end();
  await once(out, "finish");
}

/** Microseconds that WebCrypto takes for one HMAC, when so many are asked for at once. */
async function webCrypto(together) {
  const key = await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const message = new Uint8Array(48);
  const begun = performance.now();
  for (let n = 0; n < 20_000; n += together) {
    await Promise.all(Array.from({ length: together }, () => crypto.subtle.sign("HMAC", key, message)));
  }
  return (performance.now() - begun) / 20;
}

const [, , edge, count = "1000000"] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "kuji-"));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const path = join(folder, "ledger.jsonl");
  await write(path, Number(count));
  const page = await browser.newPage({ locale: "en" });
  await page.goto(`${edge}/verify`);
  const one = await page.evaluate(webCrypto, 1);
  const many = await page.evaluate(webCrypto, 1000);
  const begun = performance.now();
  await page.setInputFiles("[data-test=file]", path);
  const told = await page.waitForSelector("[data-test=ledger-verdict]", { timeout: 600_000 });
  const seconds = (performance.now() - begun) / 1000;
  const rate = await page.locator(".totals div").last().locator("dd").textContent().catch(() => "–");
  console.log({ verdict: await told.textContent(), seconds, rate, webcrypto_us: { one, many } });
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
