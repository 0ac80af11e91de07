// @vitest-environment node
import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { Hmac, bytesOf, hexOf, sha1, sha256 } from "@/proof/hashes";
import { hmacHex, ownHashesAgree, sha256Hex } from "@/proof/web-crypto";

const message = (length: number) => Uint8Array.from({ length }, (_, at) => (31 * at + length) & 0xff);
const lengths = [...Array(300).keys(), 4095, 4096, 100_000];

test("SHA-256, SHA-1 and HMAC are those of every library, whatever the length", () => {
  const key = message(32);
  const mac = new Hmac(key);
  for (const length of lengths) {
    const bytes = message(length);
    const out = new Uint8Array(32);
    mac.into(out, bytes);
    expect(hexOf(sha256(bytes))).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(hexOf(sha1(bytes))).toBe(createHash("sha1").update(bytes).digest("hex"));
    expect(hexOf(out)).toBe(createHmac("sha256", key).update(bytes).digest("hex"));
  }
});

test("they agree with WebCrypto, which single draws are checked with", async () => {
  expect(await ownHashesAgree()).toBe(true);
  const key = message(32);
  expect(await sha256Hex(key)).toBe(hexOf(sha256(key)));
  expect(await hmacHex(key, "7|42|spring-1|0")).toBe(createHmac("sha256", key).update("7|42|spring-1|0").digest("hex"));
});

test("what are no hexadecimal digits is refused", () => {
  expect(hexOf(bytesOf("00ff10"))).toBe("00ff10");
  for (const text of ["0", "zz", "0F", " 00"]) expect(() => bytesOf(text)).toThrow(RangeError);
});
