/** A pool between two records of its ledger, as services/pool/rule/engine.py has it. */
import type { Configuration, Prize, Status } from "./configuration";
import type { Refusal } from "./findings";
import { User, hasWonAll, limitReached } from "./limits";
import type { Requests } from "./requests";
import { PPB, UNLIMITED, select, uniform, weightOf } from "./selection";

/** Units of a prize; −1: without end. */
export interface Stock {
  units: number;
  left: number;
}

/** A prize that takes part, and its place in the order of selection. */
export interface Live extends Stock {
  prize: Prize;
  place: number;
}

/** One draw's outcome; prize 0: a miss. */
export interface Outcome {
  prize: number;
  ticket: number;
  weight: number;
  total: number;
}

export interface Intent {
  user: number;
  rolls: readonly Uint8Array[];
}

/** Either what was drawn, or why nothing was. */
export interface Answer {
  code: "drawn" | Refusal;
  detail: number;
  outcomes: Outcome[];
}

export interface Configured {
  code: "CONFIGURED" | "CONFLICT" | "UNITS_BELOW_WON" | "PRIZE_CHANGED" | "ENDED";
  stocks: [prize: number, units: number, left: number][];
}

const refused = (code: Refusal, detail = 0): Answer => ({ code, detail, outcomes: [] });
const unconfigured = (code: Configured["code"]): Configured => ({ code, stocks: [] });

export class Pool {
  seq = 0;
  version = 0;
  configuration: Configuration | null = null;
  live: Live[] = [];
  readonly users = new Map<number, User>();
  private stocks = new Map<number, Stock>();
  private weights: number[] = [];
  private sum = 0;
  private hasPrizeLimits = false;
  private lastPrize: Live | null = null;
  private lastUser = 0;
  private lastMs = 0;

  /** Hears the weights that a draw is about to be made with: those of the moment, for its user. */
  watch: ((weights: readonly number[]) => void) | null = null;

  constructor(private readonly requests: Requests) {}

  configure(version: number, configuration: Configuration): Configured {
    if (version <= this.version) return unconfigured("CONFLICT");
    if (this.configuration?.status === "ENDED" && configuration.status !== "ENDED") return unconfigured("ENDED");
    const stocks: Configured["stocks"] = [];
    for (const prize of configuration.prizes) {
      const after = this.stockAfter(prize);
      if (typeof after === "string") return unconfigured(after);
      stocks.push([prize.prize_id, after.units, after.left]);
    }
    const named = new Set(configuration.prizes.map((prize) => prize.prize_id));
    if (this.live.some(({ prize }) => !named.has(prize.prize_id))) return unconfigured("PRIZE_CHANGED");
    this.become(version, configuration, stocks);
    return { code: "CONFIGURED", stocks };
  }

  private stockAfter(prize: Prize): Stock | "PRIZE_CHANGED" | "UNITS_BELOW_WON" {
    const before = this.stocks.get(prize.prize_id);
    const { units, left } = before ?? { units: 0, left: 0 };
    if (prize.retired) {
      return units === UNLIMITED ? { units: UNLIMITED, left: UNLIMITED } : { units: units - left, left: 0 };
    }
    if (before && units < 0 !== prize.units < 0) return "PRIZE_CHANGED";
    if (prize.units === UNLIMITED) return { units: UNLIMITED, left: UNLIMITED };
    const after = left + prize.units - units;
    return after < 0 ? "UNITS_BELOW_WON" : { units: prize.units, left: after };
  }

  private become(version: number, configuration: Configuration, stocks: Configured["stocks"]): void {
    this.version = version;
    this.configuration = configuration;
    this.live = [];
    this.stocks = new Map();
    configuration.prizes.forEach((prize, place) => {
      const [, units, left] = stocks[place] as Configured["stocks"][number];
      const one = { prize, units, left, place: this.live.length };
      this.stocks.set(prize.prize_id, one);
      if (!prize.retired) this.live.push(one);
    });
    this.weights = this.live.map((one) => this.weigh(one));
    this.sum = sumOf(this.weights);
    this.hasPrizeLimits = this.live.some(({ prize }) => prize.wins_per_user > 0);
    this.lastPrize = this.live.find(({ prize }) => prize.last_prize && prize.enabled) ?? null;
  }

  private weigh({ prize, left }: Live): number {
    if (!prize.enabled || prize.last_prize || !this.configuration) return 0;
    return weightOf(this.configuration.mode, prize.weight, left);
  }

  /** Draw once for each roll, all or nothing. */
  draw({ user: id, rolls }: Intent, nowMs: number): Answer {
    const { configuration } = this;
    if (!configuration) return refused("not_loaded");
    const user = this.users.get(id) ?? new User();
    const first = rolls[0] as Uint8Array;
    const known = this.requests.find(first, nowMs);
    if (known) return refused(known.count === rolls.length ? "replayed" : "request_id_reused", known.firstSeq);
    const refusal = this.refusal(configuration, id, user, rolls.length, nowMs);
    if (refusal) return refusal;
    const outcomes = rolls.map((roll) => {
      const outcome = this.drawOne(configuration, user, roll);
      user.noteDraw(configuration, nowMs);
      return outcome;
    });
    const extra = this.drawLastPrize(user);
    if (extra) outcomes.push(extra);
    this.requests.note(first, { firstSeq: this.seq + 1, count: rolls.length }, nowMs);
    this.seq += outcomes.length;
    this.users.set(id, user);
    this.lastUser = id;
    this.lastMs = nowMs;
    return { code: "drawn", detail: 0, outcomes };
  }

  private refusal(configuration: Configuration, id: number, user: User, draws: number, nowMs: number): Answer | null {
    const status = statusAt(configuration, nowMs);
    if (status !== "OPEN") return refused(status.toLowerCase() as Refusal);
    const { protection_ms, mode } = configuration;
    const isTheirs = protection_ms > 0 && this.lastUser !== 0 && this.lastUser !== id;
    const wait = isTheirs ? this.lastMs + protection_ms - nowMs : 0;
    if (wait > 0) return refused("protected", wait);
    const reached = limitReached(configuration, user, draws, nowMs);
    if (reached) return refused(reached.code, reached.detail);
    const units = mode === "ODDS" ? Infinity : this.available(user);
    return units < draws ? refused("sold_out", units) : null;
  }

  /** Units that this user could still draw. */
  private available(user: User): number {
    let units = 0;
    for (const { prize, left, place } of this.live) {
      if (!this.weights[place]) continue;
      const wins = prize.wins_per_user ? Math.max(0, prize.wins_per_user - user.wonOf(prize.prize_id)) : Infinity;
      units += Math.min(left === UNLIMITED ? Infinity : left, wins);
    }
    return units;
  }

  private drawOne(configuration: Configuration, user: User, roll: Uint8Array): Outcome {
    const isOdds = configuration.mode === "ODDS";
    const isSpent = isOdds && configuration.wins_per_user > 0 && user.wins >= configuration.wins_per_user;
    let { weights, sum } = this;
    if (isSpent || this.hasPrizeLimits) {
      weights = this.live.map(({ prize, place }) => (isSpent || hasWonAll(prize, user) ? 0 : (this.weights[place] as number)));
      sum = sumOf(weights);
    }
    this.watch?.(weights);
    const total = isOdds ? PPB : sum;
    const ticket = uniform(roll, total);
    const index = select(weights, ticket);
    const won = this.live[index];
    if (!won) return { prize: 0, ticket, weight: total - sum, total };
    const weight = weights[index] as number;
    this.take(won);
    user.noteWin(won.prize.prize_id);
    return { prize: won.prize.prize_id, ticket, weight, total };
  }

  private take(one: Live): void {
    if (one.left === UNLIMITED) return;
    one.left -= 1;
    const weight = this.weigh(one);
    this.sum += weight - (this.weights[one.place] as number);
    this.weights[one.place] = weight;
  }

  /** The extra that goes with the last ticket, once. */
  private drawLastPrize(user: User): Outcome | null {
    const one = this.lastPrize;
    if (!one || this.sum > 0 || one.left === 0) return null;
    this.take(one);
    user.noteWin(one.prize.prize_id);
    return { prize: one.prize.prize_id, ticket: 0, weight: 1, total: 1 };
  }
}

function sumOf(weights: number[]): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}

function statusAt({ status, start_ms, end_ms }: Configuration, nowMs: number): Status | "PLANNED" {
  if (status === "ENDED" || (end_ms > 0 && end_ms <= nowMs)) return "ENDED";
  if (status === "PAUSED") return "PAUSED";
  return nowMs < start_ms ? "PLANNED" : "OPEN";
}
