/** What one user may do in one pool, as services/pool/rule/limits.py has it. */
import type { Configuration, Prize } from "./configuration";
import type { Refusal } from "./findings";

export const DAY_MS = 86_400_000;

/** What the limits know of a user; `winsOf`: wins by prize id. */
export class User {
  lastMs = 0;
  draws = 0;
  day = 0;
  dayDraws = 0;
  wins = 0;
  winsOf: Map<number, number> | null = null;

  noteDraw(configuration: Configuration, nowMs: number): void {
    const today = this.today(configuration, nowMs);
    if (today > this.day) {
      this.day = today;
      this.dayDraws = 0;
    }
    this.lastMs = nowMs;
    this.draws += 1;
    this.dayDraws += 1;
  }

  noteWin(prizeId: number): void {
    this.wins += 1;
    this.winsOf ??= new Map();
    this.winsOf.set(prizeId, this.wonOf(prizeId) + 1);
  }

  wonOf(prizeId: number): number {
    return this.winsOf?.get(prizeId) ?? 0;
  }

  /** The user's day only goes forward, whatever clocks and time zones do. */
  today(configuration: Configuration, nowMs: number): number {
    return Math.max(this.day, Math.floor((nowMs + configuration.day_offset_ms) / DAY_MS));
  }

  drawsToday(configuration: Configuration, nowMs: number): number {
    return this.day === this.today(configuration, nowMs) ? this.dayDraws : 0;
  }
}

/** Whether the user may win no more of the prize. */
export function hasWonAll(prize: Prize, user: User): boolean {
  return prize.wins_per_user > 0 && user.wonOf(prize.prize_id) >= prize.wins_per_user;
}

/** Why the user may not make so many draws now; null: he may. */
export function limitReached(
  configuration: Configuration,
  user: User,
  draws: number,
  nowMs: number,
): { code: Refusal; detail: number } | null {
  const { mode, draws_per_user, draws_per_day, wins_per_user, cooldown_ms } = configuration;
  if (draws_per_user > 0 && user.draws + draws > draws_per_user) return { code: "draws_per_user", detail: 0 };
  if (draws_per_day > 0 && user.drawsToday(configuration, nowMs) + draws > draws_per_day) {
    return { code: "draws_per_day", detail: 0 };
  }
  const wins = mode === "ODDS" ? 1 : draws;
  if (wins_per_user > 0 && user.wins + wins > wins_per_user) return { code: "wins_per_user", detail: 0 };
  const wait = cooldown_ms && user.lastMs ? user.lastMs + cooldown_ms - nowMs : 0;
  return wait > 0 ? { code: "cooldown", detail: wait } : null;
}
