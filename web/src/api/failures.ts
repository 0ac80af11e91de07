import type { components } from "./schema";

export type Reason = components["schemas"]["Failure"]["reason"];

/** The edge or a service said no, and why. */
export class Refused extends Error {
  constructor(
    readonly code: number,
    readonly reason: Reason,
    message: string,
    readonly metadata: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "Refused";
  }

  /** After how many milliseconds it may be asked again; 0: nothing was said of it. */
  get retryAfterMs(): number {
    return Number(this.metadata["retry_after_ms"] ?? 0) || 0;
  }
}

/** No answer came, or none that can be read: whether it was done is unknown. */
export class Unanswered extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Unanswered";
  }
}

const PASSING = new Set<Reason>(["UNAVAILABLE", "OVERLOADED", "RATE_LIMITED", "POOL_NOT_LOADED", "REQUEST_TIMEOUT"]);

/** Whether the same call may succeed later. */
export function passes(error: unknown): boolean {
  return error instanceof Unanswered || (error instanceof Refused && PASSING.has(error.reason));
}

/** Whether it was refused for that reason. */
export function isReason(error: unknown, ...reasons: Reason[]): error is Refused {
  return error instanceof Refused && reasons.includes(error.reason);
}
