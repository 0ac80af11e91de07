/**
 * The server's clock, as its answers show it.
 *
 * Each answer's Date header is the server's second at some moment between the asking and the answer. The clocks'
 * difference lies in an interval, and every further answer narrows it.
 */
export class ServerClock {
  private low = -Infinity;
  private high = Infinity;

  constructor(private readonly local: () => number = () => performance.timeOrigin + performance.now()) {}

  /** Milliseconds since 1970, by this device. */
  localNow(): number {
    return this.local();
  }

  /** Notes a Date header of an answer that was asked for at `asked`, by this device. */
  learn(date: string | null, asked: number): void {
    const second = Date.parse(date ?? "");
    if (Number.isNaN(second)) return;
    const low = second - this.local();
    const high = second + 1000 - asked;
    if (low > this.high || high < this.low) {
      this.low = low; // one of the clocks was set
      this.high = high;
      return;
    }
    this.low = Math.max(this.low, low);
    this.high = Math.min(this.high, high);
  }

  /** Milliseconds since 1970, by the server; by this device while nothing is known. */
  now(): number {
    const known = Number.isFinite(this.low) && Number.isFinite(this.high);
    return this.local() + (known ? (this.low + this.high) / 2 : 0);
  }
}

export const clock = new ServerClock();
