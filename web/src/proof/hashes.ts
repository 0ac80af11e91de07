/**
 * SHA-256, SHA-1 and HMAC-SHA256, written out: crypto.subtle has to be awaited for each of the two million hashes of a
 * long ledger, which takes longer than the hash, and is missing on pages without TLS. Where it is there, web-crypto.ts
 * holds these against it before they are used. FIPS 180-4, RFC 2104.
 */

const BLOCK = 64;

const primes: number[] = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (root: number) => ((root - Math.floor(root)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const START_256 = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const START_1 = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);

const words = new Int32Array(80);

function readBlock(bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++, at += 4) {
    words[i] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number);
  }
}

type Compress = (state: Int32Array, bytes: Uint8Array, at: number) => void;

const compress256: Compress = (state, bytes, at) => {
  readBlock(bytes, at);
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15] as number;
    const y = words[i - 2] as number;
    const small = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const large = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = ((words[i - 16] as number) + small + (words[i - 7] as number) + large) | 0;
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let i = 0; i < 64; i++) {
    const turned = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const one = (h + turned + ((e & f) ^ (~e & g)) + (ROUNDS[i] as number) + (words[i] as number)) | 0;
    const other = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const two = (other + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  add(state, [a, b, c, d, e, f, g, h]);
};

const compress1: Compress = (state, bytes, at) => {
  readBlock(bytes, at);
  for (let i = 16; i < 80; i++) {
    const x = (words[i - 3] as number) ^ (words[i - 8] as number) ^ (words[i - 14] as number) ^ (words[i - 16] as number);
    words[i] = (x << 1) | (x >>> 31);
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  for (let i = 0; i < 80; i++) {
    let mixed: number;
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (((a << 5) | (a >>> 27)) + mixed + e + (words[i] as number)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  add(state, [a, b, c, d, e]);
};

function add(state: Int32Array, more: number[]): void {
  for (let i = 0; i < more.length; i++) state[i] = ((state[i] as number) + (more[i] as number)) | 0;
}

const tail = new Uint8Array(2 * BLOCK);

/** Goes on from `state`, which has taken `before` bytes, to the end of `bytes`. */
function finish(compress: Compress, state: Int32Array, bytes: Uint8Array, before: number): void {
  const whole = bytes.length - (bytes.length % BLOCK);
  for (let at = 0; at < whole; at += BLOCK) compress(state, bytes, at);
  const rest = bytes.length - whole;
  const end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
  tail.fill(0, rest, end);
  for (let i = 0; i < rest; i++) tail[i] = bytes[whole + i] as number;
  tail[rest] = 0x80;
  const bits = 8 * (before + bytes.length); // below 2^53
  putWord(tail, end - 8, Math.floor(bits / 2 ** 32));
  putWord(tail, end - 4, bits | 0);
  for (let at = 0; at < end; at += BLOCK) compress(state, tail, at);
}

function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

function putState(bytes: Uint8Array, state: Int32Array): Uint8Array {
  for (let i = 0; i < state.length; i++) putWord(bytes, 4 * i, state[i] as number);
  return bytes;
}

/** 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const state = START_256.slice();
  finish(compress256, state, bytes, 0);
  return putState(new Uint8Array(32), state);
}

const state1 = new Int32Array(5);

/** 20 bytes. */
export function sha1(bytes: Uint8Array): Uint8Array {
  state1.set(START_1);
  finish(compress1, state1, bytes, 0);
  return putState(new Uint8Array(20), state1);
}

/** HMAC-SHA256 with one key of at most 64 bytes; what the key alone decides is hashed once. */
export class Hmac {
  private readonly inner: Int32Array;
  private readonly outer: Int32Array;
  private readonly state = new Int32Array(8);
  private readonly middle = new Uint8Array(32);

  constructor(key: Uint8Array) {
    if (key.length > BLOCK) throw new RangeError("A key has at most 64 bytes here.");
    this.inner = keyed(key, 0x36);
    this.outer = keyed(key, 0x5c);
  }

  /** Writes the 32 bytes of `message` into `out`. */
  into(out: Uint8Array, message: Uint8Array): void {
    this.state.set(this.inner);
    finish(compress256, this.state, message, BLOCK);
    putState(this.middle, this.state);
    this.state.set(this.outer);
    finish(compress256, this.state, this.middle, BLOCK);
    putState(out, this.state);
  }
}

function keyed(key: Uint8Array, pad: number): Int32Array {
  const block = new Uint8Array(BLOCK).fill(pad);
  for (let i = 0; i < key.length; i++) block[i] = (key[i] as number) ^ pad;
  const state = START_256.slice();
  compress256(state, block, 0);
  return state;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] as number];
  return text;
}

/** The bytes of lower-case hexadecimal digits, of which there is an even number. */
export function bytesOf(hex: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new RangeError("These are no hexadecimal digits.");
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}
