/**
 * The puzzle of a draw ticket: the least number, in hexadecimal, for which SHA-256(ticket + ":" + number) begins with so
 * many zero bits. tests/cases/puzzles.json holds it to what kuji.puzzle finds.
 *
 * SHA-256 is written out, since crypto.subtle has to be awaited for each attempt, which takes longer than the attempt,
 * and is missing on pages without TLS.
 */

export const TICKET_LENGTH = 64;
const STRIDE = 1 << 14;

// The first 32 bits of the fractional parts of the roots of the first primes: FIPS 180-4.
const primes: number[] = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (root: number) => ((root - Math.floor(root)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));

const turn = (x: number, bits: number) => (x >>> bits) | (x << (32 - bits));

/** The hash's state after `block`, 16 words; words 16 to 63 of it are written. */
function compress(before: Int32Array, block: Int32Array): Int32Array {
  const at = (i: number) => block[i] as number;
  for (let i = 16; i < 64; i++) {
    const x = at(i - 15);
    const y = at(i - 2);
    const small = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const large = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    block[i] = (at(i - 16) + small + at(i - 7) + large) | 0;
  }
  let [a, b, c, d, e, f, g, h] = before as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const chosen = (e & f) ^ (~e & g);
    const major = (a & b) ^ (a & c) ^ (b & c);
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + chosen + (ROUNDS[i] as number) + at(i)) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + major) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  return Int32Array.of(a, b, c, d, e, f, g, h).map((word, i) => (word + (before[i] as number)) | 0);
}

/** Writes ASCII `text` into `block`, most significant byte first. */
function write(block: Int32Array, text: string): void {
  block.fill(0);
  for (let i = 0; i < text.length; i++) {
    block[i >> 2] = (block[i >> 2] as number) | (text.charCodeAt(i) << (24 - 8 * (i & 3)));
  }
}

/** Leading zero bits of a hash. */
function zeroBits(words: Int32Array): number {
  const first = words.findIndex((word) => word !== 0);
  return first < 0 ? 256 : 32 * first + Math.clz32(words[first] as number);
}

/** The solution; `told` hears the number of attempts now and then. */
export function solve(ticket: string, difficulty: number, told: (attempts: number) => void = () => undefined): string {
  if (ticket.length !== TICKET_LENGTH) throw new RangeError("A draw ticket has 64 characters.");
  const block = new Int32Array(64);
  write(block, ticket);
  const begun = compress(START, block); // a ticket fills the first block
  for (let number = 0; ; number++) {
    if (number % STRIDE === 0) told(number);
    const solution = number.toString(16);
    write(block, `:${solution}\x80`);
    block[15] = 8 * (TICKET_LENGTH + 1 + solution.length);
    if (zeroBits(compress(begun, block)) >= difficulty) return solution;
  }
}
