import { isReason } from "@/api/failures";
import type { Activity } from "./activities";

/** What an operator enters of an activity. Times as ISO, UTC; null: none. */
export interface ActivityDraft {
  name: string;
  description: string;
  start_time: string | null;
  end_time: string | null;
  time_zone: string;
  cooldown_seconds: number;
  max_draws_per_user: number;
  max_draws_per_day: number;
  max_wins_per_user: number;
  ticket_required: boolean;
  ticket_difficulty: number;
  ticket_spread_ms: number;
  confirm: string;
}

const iso = (time: string | null | undefined) => (time ? new Date(time).toISOString() : null);

export function emptyActivity(): ActivityDraft {
  return {
    name: "",
    description: "",
    start_time: null,
    end_time: null,
    time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    cooldown_seconds: 0,
    max_draws_per_user: 0,
    max_draws_per_day: 0,
    max_wins_per_user: 0,
    ticket_required: false,
    ticket_difficulty: 16,
    ticket_spread_ms: 0,
    confirm: "store",
  };
}

export function draftOf(activity: Activity): ActivityDraft {
  const { name, description, time_zone, confirm, ticket_required, ticket_difficulty, ticket_spread_ms } = activity;
  const { cooldown_seconds, max_draws_per_user, max_draws_per_day, max_wins_per_user } = activity;
  return {
    name,
    description,
    start_time: iso(activity.start_time),
    end_time: iso(activity.end_time),
    time_zone,
    cooldown_seconds,
    max_draws_per_user,
    max_draws_per_day,
    max_wins_per_user,
    ticket_required,
    ticket_difficulty,
    ticket_spread_ms,
    confirm,
  };
}

/** What a field for date and time shows of a moment, by this device's time zone. */
export function localOf(time: string | null): string {
  if (!time) return "";
  const at = new Date(time);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function momentOf(local: string): string | null {
  return local ? new Date(local).toISOString() : null;
}

/** The field that the server did not take; empty where that is not why. */
export function wrongField(error: unknown): string {
  if (isReason(error, "UNITS_BELOW_WON")) return "total_count";
  return isReason(error, "INVALID_ARGUMENT") ? (error.metadata["field"] ?? "") : "";
}
