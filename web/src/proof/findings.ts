/** Why a record does not follow from what came before it; the page says it in the reader's language. */
export type Finding =
  | { kind: "seed" }
  | { kind: "missing"; next: number }
  | { kind: "torn" }
  | { kind: "ends_early" }
  | { kind: "goes_on"; end: number }
  | { kind: "ends_at_version"; version: number; expected: number }
  | { kind: "version"; named: number; held: number }
  | { kind: "differs"; fields: Difference[] }
  | { kind: "places"; given: number; recorded: number }
  | { kind: "count"; count: number }
  | { kind: "refused"; code: Refusal; detail: number }
  | { kind: "link" }
  | { kind: "gap_place" }
  | { kind: "config_place"; version: number; after: number; stands: number }
  | { kind: "config_refused"; version: number; code: "CONFLICT" | "UNITS_BELOW_WON" | "PRIZE_CHANGED" | "ENDED" }
  | { kind: "config_units"; version: number }
  | { kind: "config_unfit"; version: number; why: string };

/** A part of a draw that is recorded otherwise than it follows. */
export interface Difference {
  field: "user" | "request_id" | "index" | "count" | "user_draw_no" | "prize" | "ticket" | "weight" | "total";
  recorded: number | string;
  follows: number | string;
}

/** Why a draw was not allowed. */
export type Refusal =
  | "not_loaded"
  | "planned"
  | "paused"
  | "ended"
  | "draws_per_user"
  | "draws_per_day"
  | "wins_per_user"
  | "cooldown"
  | "protected"
  | "sold_out"
  | "replayed"
  | "request_id_reused";

/** A ledger is not what it should be: at draw `seq`, or, where that is 0, as a whole. */
export class Discrepancy extends Error {
  constructor(
    readonly seq: number,
    readonly finding: Finding,
  ) {
    super(`draw ${seq}: ${JSON.stringify(finding)}`);
    this.name = "Discrepancy";
  }
}

/** What cannot be read as a ledger file, and where. */
export type Unfit = "empty" | "no_ledger" | "line" | "line_too_long" | "broken" | "text";

/** The file is no ledger file, or cannot be read: nothing was found about any draw. */
export class UnfitFile extends Error {
  constructor(
    readonly kind: Unfit,
    readonly line: number,
    readonly why: string,
  ) {
    super(`line ${line}: ${why}`);
    this.name = "UnfitFile";
  }
}
