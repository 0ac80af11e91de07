import { kept } from "@/session/kept";

/** A draw that was begun: what names it to the server, so that asking again gives the same result. */
export interface Pending {
  request_id?: string;
  ticket?: string;
  difficulty?: number;
  solution?: string;
  /** Not before that moment may it be asked for. */
  not_before?: string;
  /** Milliseconds since 1970, by the server. */
  begun_at: number;
}

// The server remembers a request id for 24 hours; after them it would be a draw anew.
const MEMORY_MS = 23 * 3_600_000;

const keyOf = (userId: string, activityId: string) => `kuji.draw.${userId}.${activityId}`;

export function pendingOf(userId: string, activityId: string, now: number): Pending | null {
  const text = kept.get(keyOf(userId, activityId));
  if (!text) return null;
  try {
    const found = JSON.parse(text) as Pending;
    return now - found.begun_at < MEMORY_MS ? found : null;
  } catch {
    return null;
  }
}

export function keepPending(userId: string, activityId: string, pending: Pending | null): void {
  kept.set(keyOf(userId, activityId), pending && JSON.stringify(pending));
}

/** 128 random bits; crypto.randomUUID is for secure pages alone. */
export function newRequestId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
