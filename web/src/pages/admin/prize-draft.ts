import type { Prize } from "./activities";
import type { Draft } from "./forecast";

/** What an operator enters of a prize. */
export interface PrizeDraft {
  name: string;
  description: string;
  image_url: string;
  total_count: number;
  /** 0…1. */
  probability: number;
  is_enabled: boolean;
  max_wins_per_user: number;
  unit_cost: string;
}

export const emptyPrize = (): PrizeDraft => ({
  name: "",
  description: "",
  image_url: "",
  total_count: 1,
  probability: 0,
  is_enabled: true,
  max_wins_per_user: 0,
  unit_cost: "0.00",
});

export function draftOf(prize: Prize): PrizeDraft {
  const { name, description, image_url, total_count, probability, is_enabled, max_wins_per_user, unit_cost } = prize;
  return { name, description, image_url, total_count, probability, is_enabled, max_wins_per_user, unit_cost };
}

/** For the arithmetic, as it is saved. */
export function savedOf({ name, remaining_count, probability, is_enabled }: Prize): Draft {
  return { name, units: remaining_count, probability, isEnabled: is_enabled };
}

/** For the arithmetic, as it would be: of `prize`, or of a new one. */
export function wouldBe(draft: PrizeDraft, prize: Prize | null): Draft {
  const gone = prize ? prize.total_count - prize.remaining_count : 0;
  return {
    name: draft.name,
    units: Math.max(0, (draft.total_count || 0) - gone),
    probability: draft.probability,
    isEnabled: draft.is_enabled,
  };
}

/** A chance in percent, in the steps that the server knows: one in 10^9. */
export function percentOf(probability: number): number {
  return Number((probability * 100).toFixed(7));
}

export function probabilityOf(percent: number): number {
  return Math.round((percent || 0) * 1e7) / 1e9;
}
