import { anybody, type Client } from "@/api/client";
import type { Box, Level, Stored } from "./goods";

/** What is left in a box of one level. */
export interface LevelStock {
  level: Level;
  /** null: it never runs out. */
  left: number | null;
  total: number | null;
  chance: number;
}

/** The boxes as buyers see them; null where these goods are not among what buyers see. */
export async function publicBoxes(id: string, type: string, signal?: AbortSignal): Promise<Box[] | null> {
  const query = { type: type as "ichiban" | "infinite" };
  const goods = await anybody.get("/api/blindbox/goods", { query, ...(signal ? { signal } : {}) });
  return (goods ?? []).find((one) => String(one.goods_id) === id)?.boxes ?? null;
}

/** What is left of each level in a box, and the odds at this moment. */
export async function stockOf({ goods, levels, items }: Stored, num: number, signal?: AbortSignal): Promise<LevelStock[]> {
  const query = { goods_id: goods.goods_id, num } as never;
  const rows = (await anybody.get("/api/blindbox/probabilities", { query, ...(signal ? { signal } : {}) })) ?? [];
  const levelOf = new Map(items.map((item) => [item.goods_item_id, item.shang_id]));
  return levels.flatMap((level) => {
    const own = rows.filter((row) => levelOf.get(String(row.goods_item_id)) === level.shang_id);
    const tickets = items.filter((item) => item.shang_id === level.shang_id && !item.is_last_prize);
    if (!tickets.length) return []; // a last prize comes with the last ticket, and is none itself
    return {
      level,
      left: summed(own.map((row) => row.surplus_stock)),
      total: summed(tickets.map((item) => (item.stock === null ? null : Number(item.stock)))),
      chance: own.reduce((sum, row) => sum + row.probability / 100, 0),
    };
  });
}

function summed(units: (number | null | undefined)[]): number | null {
  return units.includes(null) ? null : units.reduce<number>((sum, one) => sum + (one ?? 0), 0);
}

/** Opens further boxes for the version of the goods that is shown; not idempotent. */
export function openBoxes(client: Client, { goods }: Stored, count: number) {
  const asking = { path: { goods_id: goods.goods_id }, headers: { "if-match": goods.etag }, body: { count } };
  return client.post("/admin/api/goods/{goods_id}/boxes", asking as never);
}
