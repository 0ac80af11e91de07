import type { components } from "@/api/schema";

export type Activity = components["schemas"]["history.Activity"];

/** What is open comes first. */
const ORDER = ["ongoing", "paused", "planned", "ended"];

export function rank(activity: Activity): number {
  return ORDER.indexOf(activity.status);
}

export const TONES: Readonly<Record<string, string>> = { ongoing: "good", paused: "warm", planned: "cool", ended: "" };

/** The moment that the activity moves on by itself, and to what; null: at no known moment. */
export function nextChange(activity: Activity): { at: string; kind: "opens" | "ends" } | null {
  const { status, start_time, end_time } = activity;
  if (status === "planned" && start_time) return { at: start_time, kind: "opens" };
  if ((status === "ongoing" || status === "paused") && end_time) return { at: end_time, kind: "ends" };
  return null;
}
