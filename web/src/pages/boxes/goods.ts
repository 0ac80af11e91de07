import { anybody } from "@/api/client";
import type { components } from "@/api/schema";
import { useLoaded } from "@/compose/loaded";

export type Goods = components["schemas"]["blindbox.Goods"];
export type Box = components["schemas"]["blindbox.Box"];
export type Item = components["schemas"]["blindbox.Item"];
export type Shang = components["schemas"]["blindbox.Shang"];

const EVERY_MS = 3_000;
/** For pages that show the goods' names more than what is left of them. */
export const SELDOM_MS = 30_000;

/** What is on the shelf, newest first. */
export function useShelf(every = EVERY_MS) {
  return useLoaded(async (signal) => (await anybody.get("/api/blindbox/goods", { signal })) ?? [], { every });
}

/** How far an item is from being gone; left null: it is unlimited. */
export interface Row {
  item: Item;
  left: number | null;
  /** 0…1. */
  chance: number;
}

/** A level of a box, with its items; last prizes are not among them, for they have no ticket. */
export interface Level {
  shang: Shang;
  rows: Row[];
  /** null: unlimited. */
  left: number | null;
  total: number | null;
  chance: number;
}

/** What is left of each item, by its id. */
export type Stock = ReadonlyMap<number, Pick<Row, "left" | "chance">>;

const GONE = { left: 0, chance: 0 };

function sum(parts: readonly (number | null)[]): number | null {
  return parts.reduce((all, part) => (all === null || part === null ? null : all + part), 0);
}

export function levelsOf(goods: Goods, stock: Stock): Level[] {
  const levels = goods.shangs.map((shang) => {
    const items = goods.items.filter((item) => item.shang_id === shang.shang_id && !item.is_last_prize);
    const rows = items.map((item) => ({ item, ...(stock.get(item.goods_item_id) ?? GONE) }));
    const left = sum(rows.map((row) => row.left));
    const total = sum(items.map((item) => item.stock));
    return { shang, rows, left, total, chance: rows.reduce((all, row) => all + row.chance, 0) };
  });
  return levels.filter((level) => level.rows.length > 0);
}

export const lastPrizesOf = (goods: Goods): Item[] => goods.items.filter((item) => item.is_last_prize);

/** The stock that needs no asking for: nothing of a box that is sold out, everything of a fresh one. */
export function knownStock(goods: Goods, box: Box): Stock | null {
  if (box.sold_out) return new Map();
  if (box.total === null || box.left !== box.total) return null;
  const items = goods.items.filter((item) => !item.is_last_prize);
  const weight = (item: Item) => item.weight ?? item.stock ?? 0;
  const all = items.reduce((sum, item) => sum + weight(item), 0);
  return new Map(items.map((item) => [item.goods_item_id, { left: item.stock, chance: weight(item) / all }]));
}

/** The box that a buyer would be led to: the first that has something left. */
export function firstOpen(goods: Goods): Box | undefined {
  return goods.boxes.find((box) => !box.sold_out) ?? goods.boxes[0];
}
