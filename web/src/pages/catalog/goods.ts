import type { Client } from "@/api/client";
import type { components } from "@/api/schema";
import { everyRow, type Page } from "@/compose/pages";

type Schemas = components["schemas"];

export type Goods = Schemas["admin.Goods"];
export type Level = Schemas["admin.Shang"];
export type Item = Schemas["admin.GoodsItem"];
export type Card = Schemas["admin.ItemCard"];
export type Box = Schemas["blindbox.Box"];

/** Goods as they are stored, whole. */
export interface Stored {
  goods: Goods;
  levels: Level[];
  items: Item[];
}

/** What buyers meet: boxes that draw, or why they do not. */
export type State = "no_boxes" | "selling" | "off_shelf" | "ended";

export function stateOf({ is_ended, on_shelf, boxes }: Pick<Goods, "is_ended" | "on_shelf" | "boxes">): State {
  if (is_ended) return "ended";
  if (!on_shelf) return "off_shelf";
  return boxes ? "selling" : "no_boxes";
}

export const TONES: Record<State, string> = { no_boxes: "warm", selling: "good", off_shelf: "cool", ended: "" };

const PAGE = 100;

/** One page of all goods, newest first. */
export async function listGoods(client: Client, page = 1, signal?: AbortSignal) {
  return client.get("/admin/api/goods", { query: { page, page_size: PAGE }, ...(signal ? { signal } : {}) });
}

/** Every one of them; the API gives goods in pages alone. */
export async function allGoods(client: Client, signal?: AbortSignal): Promise<Goods[]> {
  return everyRow((page) => goodsPage(client, page, signal));
}

export async function goodsPage(client: Client, page: number, signal?: AbortSignal): Promise<Page<Goods>> {
  const { goods, has_more } = await listGoods(client, page, signal);
  return { rows: goods, has_more };
}

/** The goods with their levels and items; null where there are none of that number. */
export async function readStored(client: Client, id: string, signal?: AbortSignal): Promise<Stored | null> {
  const [goods, contents] = await Promise.all([findGoods(client, id, signal), readContents(client, id, signal)]);
  return goods && { goods, ...contents };
}

export async function readContents(client: Client, id: string, signal?: AbortSignal): Promise<Omit<Stored, "goods">> {
  const asking = { path: { goods_id: id }, ...(signal ? { signal } : {}) } as never;
  const [{ shangs }, { items }] = await Promise.all([
    client.get("/admin/api/goods/{goods_id}/shangs", asking),
    client.get("/admin/api/goods/{goods_id}/items", asking),
  ]);
  return { levels: shangs, items };
}

export async function findGoods(client: Client, id: string, signal?: AbortSignal): Promise<Goods | null> {
  for (let page = 1; ; page++) {
    const got = await listGoods(client, page, signal);
    const found = got.goods.find((one) => one.goods_id === id);
    if (found || !got.has_more) return found ?? null;
  }
}
