/** The browser's own cryptography: what a single draw is checked with, and what ours is held against. */
import { Hmac, hexOf, sha1, sha256 } from "./hashes";

/** Browsers give it to pages with TLS, and to those of their own machine. */
export const hasWebCrypto = (): boolean => globalThis.crypto?.subtle !== undefined;

const bufferOf = (bytes: Uint8Array) => Uint8Array.from(bytes).buffer;

/** By the browser where it can, else by our own. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  if (!hasWebCrypto()) return hexOf(sha256(bytes));
  return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bufferOf(bytes))));
}

export async function hmacHex(key: Uint8Array, text: string): Promise<string> {
  const message = new TextEncoder().encode(text);
  if (!hasWebCrypto()) {
    const out = new Uint8Array(32);
    new Hmac(key).into(out, message);
    return hexOf(out);
  }
  const kind = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", bufferOf(key), kind, false, ["sign"]);
  return hexOf(new Uint8Array(await crypto.subtle.sign("HMAC", imported, bufferOf(message))));
}

/** Whether our own hashes give what the browser's give, for messages of every length around a block's; null: it has none. */
export async function ownHashesAgree(): Promise<boolean | null> {
  if (!hasWebCrypto()) return null;
  const key = crypto.getRandomValues(new Uint8Array(32));
  const noise = crypto.getRandomValues(new Uint8Array(200));
  const mac = new Hmac(key);
  const imported = await crypto.subtle.importKey("raw", bufferOf(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  for (let length = 0; length <= noise.length; length++) {
    const message = noise.subarray(0, length);
    const out = new Uint8Array(32);
    mac.into(out, message);
    const pairs: [Uint8Array, ArrayBuffer][] = [
      [sha256(message), await crypto.subtle.digest("SHA-256", bufferOf(message))],
      [sha1(message), await crypto.subtle.digest("SHA-1", bufferOf(message))],
      [out, await crypto.subtle.sign("HMAC", imported, bufferOf(message))],
    ];
    if (pairs.some(([mine, theirs]) => hexOf(mine) !== hexOf(new Uint8Array(theirs)))) return false;
  }
  return true;
}
