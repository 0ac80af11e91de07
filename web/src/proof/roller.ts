import { Hmac } from "./hashes";

const ROLL_BYTES = 32;
/** A request draws so often at most. */
export const MOST_AT_ONCE = 100;

/** The text whose HMAC is a draw's roll. */
export function rollText(poolId: number, user: number, requestId: string, index: number): string {
  return `${poolId}|${user}|${requestId}|${index}`;
}

/** Makes a pool's random numbers, as services/pool/rule/fairness.py does. */
export class Roller {
  private readonly mac: Hmac;
  private readonly made: Uint8Array[] = [];
  private text = new Uint8Array(512);

  constructor(
    seed: Uint8Array,
    private readonly poolId: number,
  ) {
    this.mac = new Hmac(seed);
  }

  /** The rolls of `count` draws at once, 32 bytes each; they are good until the next ones are made. */
  rolls(user: number, requestId: string, count: number): Uint8Array[] {
    const rolls: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const roll = (this.made[index] ??= new Uint8Array(ROLL_BYTES));
      this.mac.into(roll, this.ascii(rollText(this.poolId, user, requestId, index)));
      rolls.push(roll);
    }
    return rolls;
  }

  private ascii(text: string): Uint8Array {
    if (text.length > this.text.length) this.text = new Uint8Array(2 * text.length);
    for (let i = 0; i < text.length; i++) this.text[i] = text.charCodeAt(i);
    return this.text.subarray(0, text.length);
  }
}
