import { kept } from "./kept";

/** The seal of a pool's seed as this browser saw it while draws could still be made, and when: milliseconds since 1970. */
export interface NotedSeal {
  commitment: string;
  at: number;
}

/** A link of a pool's ledger that an answer carried: a receipt for all draws up to it. */
export interface Receipt {
  draw_id: string;
  link: string;
}

const MOST = 8;
const sealKey = (activityId: string) => `kuji.seal.${activityId}`;
const receiptKey = (poolId: string) => `kuji.receipts.${poolId}`;

/** Notes the first one that is seen; a later one changes nothing, so that another would be found. */
export function noteSeal(activityId: string, commitment: string, at: number): void {
  if (commitment && !notedSeal(activityId)) kept.set(sealKey(activityId), JSON.stringify({ commitment, at }));
}

export function notedSeal(activityId: string): NotedSeal | null {
  const found = parsed(kept.get(sealKey(activityId))) as Partial<NotedSeal> | null;
  return typeof found?.commitment === "string" && typeof found.at === "number" ? (found as NotedSeal) : null;
}

/** Keeps the newest receipts of each pool. */
export function noteReceipt(drawId: string, link: string): void {
  const key = receiptKey(poolOf(drawId));
  const others = receiptsOf(poolOf(drawId)).filter((one) => one.link !== link);
  if (link) kept.set(key, JSON.stringify([{ draw_id: drawId, link }, ...others].slice(0, MOST)));
}

export function receiptsOf(poolId: string): Receipt[] {
  const found = parsed(kept.get(receiptKey(poolId)));
  if (!Array.isArray(found)) return [];
  return found.filter((one): one is Receipt => typeof one?.link === "string" && typeof one.draw_id === "string");
}

/** The pool in "<pool>-<place>". */
export function poolOf(drawId: string): string {
  return drawId.split("-")[0] ?? "";
}

function parsed(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
