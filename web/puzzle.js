/**
 * The puzzle of a draw ticket, in a worker, so that the page stays alive meanwhile:
 *
 *   const worker = new Worker("puzzle.js", { type: "module" });
 *   worker.onmessage = ({ data }) => draw(data.ticket, data.solution);
 *   worker.postMessage({ ticket, difficulty });
 *
 * SHA-256 is written out, since crypto.subtle has to be awaited for each attempt, which takes
 * longer than the attempt, and is missing on pages without TLS.
 */

const TICKET_LENGTH = 64;

// The first 32 bits of the fractional parts of the roots of the first primes: FIPS 180-4.
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));

const turn = (x, bits) => (x >>> bits) | (x << (32 - bits));

/** The hash's state after `block`, 16 words; words 16 to 63 of it are written. */
function compress(before, block) {
  for (let i = 16; i < 64; i++) {
    const x = block[i - 15], y = block[i - 2];
    const small = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const large = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    block[i] = (block[i - 16] + small + block[i - 7] + large) | 0;
  }
  let [a, b, c, d, e, f, g, h] = before;
  for (let i = 0; i < 64; i++) {
    const chosen = (e & f) ^ (~e & g), major = (a & b) ^ (a & c) ^ (b & c);
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + chosen + ROUNDS[i] + block[i]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + major) | 0;
    h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
  }
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + before[i]) | 0);
}

/** Writes ASCII `text` into `block`, most significant byte first. */
function write(block, text) {
  block.fill(0);
  for (let i = 0; i < text.length; i++) block[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
}

/** Leading zero bits of a hash. */
function zeroBits(words) {
  const first = words.findIndex((word) => word !== 0);
  return first < 0 ? 256 : 32 * first + Math.clz32(words[first]);
}

/**
 * The least number, in hexadecimal, for which SHA-256(ticket + ":" + number) begins with
 * `difficulty` zero bits.
 */
export function solve(ticket, difficulty) {
  if (ticket.length !== TICKET_LENGTH) throw new RangeError("A draw ticket has 64 characters.");
  const block = new Int32Array(64);
  write(block, ticket);
  const begun = compress(START, block); // a ticket fills the first block
  for (let number = 0; ; number++) {
    const solution = number.toString(16);
    write(block, `:${solution}\x80`);
    block[15] = 8 * (TICKET_LENGTH + 1 + solution.length);
    if (zeroBits(compress(begun, block)) >= difficulty) return solution;
  }
}

if (typeof WorkerGlobalScope !== "undefined") {
  globalThis.onmessage = ({ data: { ticket, difficulty } }) => {
    postMessage({ ticket, solution: solve(ticket, difficulty) });
  };
}
