import { DAY_MS } from "./limits";

/** What a request id drew. */
export interface Drawn {
  firstSeq: number;
  count: number;
}

const START = 1 << 10;

/**
 * Which request ids drew on one day. A request is known by 12 bytes of its roll, which no two of them share but by a
 * chance of 2^-96: a million take 30 MB, in arrays that the collector of garbage need not look into.
 */
class Day {
  private size = 0;
  private mask = START - 1;
  private keys = new Uint32Array(3 * START);
  private seqs = new Float64Array(START);
  private times = new Float64Array(START);
  private counts = new Uint8Array(START);

  constructor(readonly day: number) {}

  /** What it drew less than a day before `nowMs`. */
  find(key: Uint32Array, nowMs: number): Drawn | null {
    const at = this.placeOf(key);
    const count = this.counts[at] as number;
    if (count === 0 || (this.times[at] as number) + DAY_MS <= nowMs) return null;
    return { firstSeq: this.seqs[at] as number, count };
  }

  note(key: Uint32Array, { firstSeq, count }: Drawn, nowMs: number): void {
    if (3 * this.size > 2 * this.mask) this.widen();
    const at = this.placeOf(key);
    if (this.counts[at] === 0) this.size += 1;
    this.keys.set(key, 3 * at);
    this.put(at, firstSeq, count, nowMs);
  }

  private put(at: number, firstSeq: number, count: number, nowMs: number): void {
    this.seqs[at] = firstSeq;
    this.counts[at] = count;
    this.times[at] = nowMs;
  }

  /** Where the key is, or would be. */
  private placeOf(key: ArrayLike<number>): number {
    const { keys, counts, mask } = this;
    for (let at = (key[0] as number) & mask; ; at = (at + 1) & mask) {
      if (counts[at] === 0) return at;
      if (keys[3 * at] === key[0] && keys[3 * at + 1] === key[1] && keys[3 * at + 2] === key[2]) return at;
    }
  }

  private widen(): void {
    const { keys, seqs, times, counts } = this;
    const places = 2 * (this.mask + 1);
    this.mask = places - 1;
    this.keys = new Uint32Array(3 * places);
    this.seqs = new Float64Array(places);
    this.times = new Float64Array(places);
    this.counts = new Uint8Array(places);
    for (let old = 0; old < counts.length; old++) {
      if (counts[old] === 0) continue;
      const key = keys.subarray(3 * old, 3 * old + 3);
      const at = this.placeOf(key);
      this.keys.set(key, 3 * at);
      this.put(at, seqs[old] as number, counts[old] as number, times[old] as number);
    }
  }
}

/** Which request ids have drawn: of the day (UTC) that it is, and of the last one before it that drew. */
export class Requests {
  private today: Day = new Day(0);
  private before: Day | null = null;
  private readonly key = new Uint32Array(3);

  /** What the request drew whose first roll this is; null: nothing that has to be known any more. */
  find(roll: Uint8Array, nowMs: number): Drawn | null {
    this.turn(nowMs);
    this.take(roll);
    return this.today.find(this.key, nowMs) ?? this.before?.find(this.key, nowMs) ?? null;
  }

  note(roll: Uint8Array, drawn: Drawn, nowMs: number): void {
    this.take(roll);
    this.today.note(this.key, drawn, nowMs);
  }

  private take(roll: Uint8Array): void {
    for (let word = 0; word < 3; word++) {
      const byte = (i: number) => roll[4 * word + i] as number;
      this.key[word] = (byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3);
    }
  }

  private turn(nowMs: number): void {
    const day = Math.floor(nowMs / DAY_MS);
    if (day <= this.today.day) return;
    this.before = this.today.day ? this.today : null;
    this.today = new Day(day);
  }
}
