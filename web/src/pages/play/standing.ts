import { keptRef } from "@/session/kept";

/** What a player may still draw in an activity, as the last answer said. */
export interface Standing {
  /** null: as often as he likes. */
  draws_left: number | null;
  next_draw_at: string | null;
  /** Milliseconds since 1970, by the server: when that was. */
  at: number;
}

const GOOD_FOR_MS = 3_600_000; // a new day may bring new draws

export function useStanding(userId: string, activityId: string) {
  const standing = keptRef<Standing | null>(`kuji.standing.${userId}.${activityId}`, null);
  return { standing, isGood: (one: Standing, now: number) => now - one.at < GOOD_FOR_MS };
}
