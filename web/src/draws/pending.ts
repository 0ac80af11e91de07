import { isReason, passes } from "@/api/failures";
import { kept } from "@/session/kept";

/** A draw that was begun: what names it to the server, so that asking again gives the same result. */
export interface Begun {
  request_id?: string;
  /** Milliseconds since 1970, by the server. */
  begun_at: number;
}

/** Milliseconds for which a draw is asked for again before the player is told that no answer comes. */
export const PATIENCE_MS = 45_000;

// The server remembers a request id for 24 hours; after them it would be a draw anew.
const MEMORY_MS = 23 * 3_600_000;

const keyOf = (userId: string, subject: string) => `kuji.draw.${userId}.${subject}`;

/** What the player has begun; `subject`: what is drawn from. */
export function pendingOf<T extends Begun>(userId: string, subject: string, now: number): T | null {
  const text = kept.get(keyOf(userId, subject));
  if (!text) return null;
  try {
    const found = JSON.parse(text) as T;
    return now - found.begun_at < MEMORY_MS ? found : null;
  } catch {
    return null;
  }
}

export function keepPending(userId: string, subject: string, pending: Begun | null): void {
  kept.set(keyOf(userId, subject), pending && JSON.stringify(pending));
}

/** Whether the draw may have been made, or may be made yet, so that it has to be asked for by the same name. */
export function isOpenStill(error: unknown): boolean {
  return passes(error) || isReason(error, "UNAUTHENTICATED", "INTERNAL");
}

/** 128 random bits; crypto.randomUUID is for secure pages alone. */
export function newRequestId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
