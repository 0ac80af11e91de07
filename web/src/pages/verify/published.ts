import { anybody, type Client } from "@/api/client";
import type { components } from "@/api/schema";
import type { Drawer, Published } from "@/proof/draw";

export type Result = components["schemas"]["history.Result"];
type Rules = components["schemas"]["history.GetRulesResponse"];

export const DRAW_ID = /^[1-9][0-9]{0,15}-[1-9][0-9]{0,15}$/;

/** What the server publishes of a draw, of a lottery or of a box. */
export async function publishedOf(drawId: string, signal?: AbortSignal): Promise<Published> {
  const asking = { path: { draw_id: drawId }, ...(signal ? { signal } : {}) };
  const draw = await anybody.get("/api/lottery/result/{draw_id}/verification", asking);
  const { ticket, odds_weight, odds_total } = draw;
  const numbers = { ticket: Number(ticket), odds_weight: Number(odds_weight), odds_total: Number(odds_total) };
  return { ...draw, seed: draw.seed ?? null, ...numbers };
}

/** Its result, where somebody is signed in who may read it. */
export async function resultOf(drawId: string, client: Client, signal?: AbortSignal): Promise<Result | null> {
  const asking = { path: { draw_id: drawId }, ...(signal ? { signal } : {}) };
  return client.get("/api/lottery/result/{draw_id}", asking).catch(() => null);
}

/** Who drew and under which name, from what its own user alone is told. */
export function drawerOf(rollText: string): Drawer | null {
  const parts = /^\d+\|(\d+)\|(.+)\|(\d+)$/.exec(rollText);
  return parts && { user: parts[1] as string, request_id: parts[2] as string, index: Number(parts[3]) };
}

/** The rules of an activity; null: there are none to be had. */
export async function rulesOf(activityId: string, signal?: AbortSignal): Promise<Rules | null> {
  const asking = { path: { activity_id: activityId } as never, ...(signal ? { signal } : {}) };
  return anybody.get("/api/lottery/activities/{activity_id}/rules", asking).catch(() => null);
}

/** What the rules that held for a draw give its outcome, in parts per billion: the prize, or no win. */
export function configuredOdds(rules: Rules, seq: number, prizeId: string | null): number | null {
  const held = [...rules.versions].sort((a, b) => Number(a.from_seq) - Number(b.from_seq)).filter((one) => Number(one.from_seq) <= seq);
  const prizes = held.at(-1)?.prizes.filter((one) => one.is_enabled);
  if (!prizes) return null;
  const parts = (chance: number) => Math.round(chance * 1e9);
  if (prizeId === null) return 1e9 - prizes.reduce((sum, one) => sum + parts(one.probability), 0);
  const prize = prizes.find((one) => String(one.prize_id) === prizeId);
  return prize ? parts(prize.probability) : null;
}
