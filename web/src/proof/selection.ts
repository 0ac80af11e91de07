/**
 * Which prize a roll gives, as services/pool/rule/selection.py and the script in Redis have it: in whole numbers below
 * 2^53. tests/unit/pool/rule/selection_cases.json holds all three.
 */
import { sha1 } from "./hashes";

export const PPB = 1_000_000_000;
export const UNLIMITED = -1;
export type Mode = "ODDS" | "TICKETS" | "WEIGHTS";

const TWO_48 = 2 ** 48;
const CANDIDATE_BYTES = 6;

/** Six bytes of a roll as a number, big-endian. */
export function candidateAt(roll: Uint8Array, at: number): number {
  const byte = (i: number) => roll[at + i] as number;
  const high = (byte(0) << 16) | (byte(1) << 8) | byte(2);
  return high * 0x1000000 + ((byte(3) << 16) | (byte(4) << 8) | byte(5));
}

/** The largest multiple of `total` that is not above 2^48: only numbers below it count, so that each ticket is as likely. */
export function limitOf(total: number): number {
  return TWO_48 - (TWO_48 % total);
}

/** A ticket in [0, total), total at most 2^47; a roll of 32 bytes offers four candidates, its SHA-1 three more, and so on. */
export function uniform(roll: Uint8Array, total: number): number {
  if (!(total >= 1 && total <= 2 ** 47)) throw new RangeError(`There is no draw among ${total}.`);
  const limit = limitOf(total);
  let candidates = roll;
  let end = 24;
  for (;;) {
    for (let at = 0; at < end; at += CANDIDATE_BYTES) {
      const number = candidateAt(candidates, at);
      if (number < limit) return number % total;
    }
    candidates = sha1(candidates);
    end = 18;
  }
}

/** The place of the prize whose interval holds `ticket`; −1: it lies past all of them, a miss. */
export function select(weights: ArrayLike<number>, ticket: number): number {
  let rest = ticket;
  for (let index = 0; index < weights.length; index++) {
    rest -= weights[index] as number;
    if (rest < 0) return index;
  }
  return -1;
}

/** What a prize weighs at this moment; `left` −1: without end. */
export function weightOf(mode: Mode, weight: number, left: number): number {
  if (left === 0) return 0;
  if (mode === "TICKETS" || (mode === "WEIGHTS" && weight === 0)) return Math.max(left, 0);
  return weight;
}
