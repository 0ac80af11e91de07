/** One draw, step by step, from what the server says of it: what can be recomputed, and what has to wait. */
import { bytesOf } from "./hashes";
import { MOST_AT_ONCE, rollText } from "./roller";
import { PPB, candidateAt, limitOf, uniform } from "./selection";
import { hmacHex, sha256Hex } from "./web-crypto";

export type Outcome = "right" | "wrong" | "not_yet";

/** What the server publishes of a draw. */
export interface Published {
  draw_id: string;
  seed_commitment: string;
  /** null before the reveal. */
  seed: string | null;
  roll: string;
  ticket: number;
  odds_weight: number;
  odds_total: number;
}

/** What names a draw: whoever drew knows it, and the ledger. */
export interface Drawer {
  user: string;
  request_id: string;
  /** null: which of its request's draws it was is not known. */
  index: number | null;
}

/** What is known of it besides. */
export interface Known {
  drawer?: Drawer | null;
  /** The commitment that this browser noted before the end. */
  noted?: string | null;
  /** The prize's chance by the rules of that moment, in parts per billion; null: unknown. */
  configured?: number | null;
  won?: boolean | null;
}

export interface SealStep {
  kind: "seal";
  outcome: Outcome;
  seed: string | null;
  computed: string | null;
  commitment: string;
  /** null: nothing was noted. */
  noted: boolean | null;
}

export interface RollStep {
  kind: "roll";
  outcome: Outcome;
  why: "" | "sealed" | "no_drawer";
  text: string | null;
  computed: string | null;
  roll: string;
}

export interface TicketStep {
  kind: "ticket";
  outcome: Outcome;
  candidates: { number: number; counts: boolean }[];
  limit: number;
  total: number;
  computed: number | null;
  ticket: number;
}

export interface OddsStep {
  kind: "odds";
  outcome: Outcome;
  weight: number;
  total: number;
  configured: number | null;
  won: boolean | null;
}

export type Step = SealStep | RollStep | TicketStep | OddsStep;

/** The steps of a draw; what stock there was, and what other draws, only the ledger tells. */
export async function stepsOf(published: Published, known: Known = {}): Promise<Step[]> {
  return [await sealOf(published, known), await rollOf(published, known), ticketOf(published), oddsOf(published, known)];
}

async function sealOf({ seed, seed_commitment }: Published, { noted }: Known): Promise<SealStep> {
  const computed = seed === null ? null : await sha256Hex(bytesOf(seed));
  const isAsNoted = noted ? noted === seed_commitment : null;
  const isWrong = isAsNoted === false || (computed !== null && computed !== seed_commitment);
  const outcome = isWrong ? "wrong" : computed === null ? "not_yet" : "right";
  return { kind: "seal", outcome, seed, computed, commitment: seed_commitment, noted: isAsNoted };
}

async function rollOf({ draw_id, seed, roll }: Published, { drawer }: Known): Promise<RollStep> {
  const texts = drawer ? textsOf(Number(draw_id.split("-")[0]), drawer) : [];
  const text = texts[0] ?? null;
  if (seed === null || text === null) {
    return { kind: "roll", outcome: "not_yet", why: seed === null ? "sealed" : "no_drawer", text, computed: null, roll };
  }
  const key = bytesOf(seed);
  for (const one of texts) {
    const computed = await hmacHex(key, one);
    if (computed === roll) return { kind: "roll", outcome: "right", why: "", text: one, computed, roll };
  }
  return { kind: "roll", outcome: "wrong", why: "", text, computed: await hmacHex(key, text), roll };
}

/** What the draw's roll may be the HMAC of. */
function textsOf(pool: number, { user, request_id, index }: Drawer): string[] {
  const indexes = index === null ? Array(MOST_AT_ONCE).keys() : [index];
  return Array.from(indexes, (one) => rollText(pool, Number(user), request_id, one));
}

function ticketOf({ roll, ticket, odds_total }: Published): TicketStep {
  const bytes = bytesOf(roll);
  const isFit = bytes.length === 32 && odds_total >= 1 && odds_total <= 2 ** 47;
  const computed = isFit ? uniform(bytes, odds_total) : null; // of a last prize: the only ticket, 0
  const limit = isFit ? limitOf(odds_total) : 0;
  const candidates: TicketStep["candidates"] = [];
  for (let at = 0; isFit && at < 24; at += 6) {
    const number = candidateAt(bytes, at);
    candidates.push({ number, counts: number < limit });
    if (number < limit) break;
  }
  const outcome = computed === ticket ? "right" : "wrong";
  return { kind: "ticket", outcome, candidates, limit, total: odds_total, computed, ticket };
}

/** Whether the odds are those of the rules; a lottery's prize has them unchanged until it is gone. */
function oddsOf({ odds_weight, odds_total }: Published, { configured = null, won = null }: Known): OddsStep {
  const base = { kind: "odds" as const, weight: odds_weight, total: odds_total, configured, won };
  if (odds_weight < 1 || odds_weight > odds_total) return { ...base, outcome: "wrong" };
  if (configured === null || won === null || odds_total !== PPB) return { ...base, outcome: "not_yet" };
  // The share of a prize that is gone becomes “no win”: that has at least what was configured.
  const isRight = won ? odds_weight === configured : odds_weight >= configured;
  return { ...base, outcome: isRight ? "right" : "wrong" };
}

