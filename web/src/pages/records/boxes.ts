import { anybody, type Client } from "@/api/client";
import type { components } from "@/api/schema";
import { csvLine } from "./csv";

type Schemas = components["schemas"];
export type BoxRecord = Schemas["blindbox.WinningRecord"];
export type OrderPrize = Schemas["blindbox.OrderPrize"];

export interface BoxFilter {
  goods: string;
  type: string;
  /** "": all levels. */
  level: string;
}

export interface BoxPage {
  rows: BoxRecord[];
  lastPage: number;
}

/** One page of winning records, newest first. Of ichiban goods there are today's alone, on one page. */
export async function boxPage({ goods, type, level }: BoxFilter, page: number, size: number, signal?: AbortSignal): Promise<BoxPage> {
  const more = signal ? { signal } : {};
  if (type === "infinite") {
    const query = { goods_id: goods, page, page_size: size, ...(level ? { shang_id: level } : {}) } as never;
    const got = await anybody.get("/api/blindbox/infinite_shang_log", { query, ...more });
    return { rows: got?.data ?? [], lastPage: got?.last_page ?? 1 };
  }
  const rows = (await anybody.get("/api/blindbox/daily_prize_records", { query: { goods_id: goods } as never, ...more })) ?? [];
  return { rows: level ? rows.filter((one) => String(one.shang_id) === level) : rows, lastPage: 1 };
}

const COLUMNS = ["id", "draw_id", "created_at", "nickname", "num", "shang_title", "goodslist_title", "luck_no"] as const;
const LARGEST = 100;

/** All winning records as CSV, page by page. What is won meanwhile moves rows to later pages: nothing is given twice. */
export async function* boxLines(filter: BoxFilter, told: (rows: number) => void, signal: AbortSignal): AsyncGenerator<string> {
  const known = new Set<number>();
  yield csvLine(COLUMNS);
  for (let page = 1; ; page++) {
    const { rows, lastPage } = await boxPage(filter, page, LARGEST, signal);
    const fresh = rows.filter((one) => !known.has(one.id));
    for (const one of fresh) known.add(one.id);
    yield fresh.map(lineOf).join("");
    told(known.size);
    if (page >= lastPage || signal.aborted) return;
  }
}

function lineOf(one: BoxRecord): string {
  const cells = { ...one, created_at: new Date(one.addtime * 1000).toISOString() };
  return csvLine(COLUMNS.map((name) => cells[name]));
}

/** What an order gave, of whichever kind of goods; empty where there is no such order, or it is not the reader's to see. */
export async function orderPrizes(client: Client, order: string, signal?: AbortSignal): Promise<OrderPrize[]> {
  const asking = { query: { order_num: order } as never, ...(signal ? { signal } : {}) };
  const [ichiban, infinite] = await Promise.all([
    client.get("/api/blindbox/prize_order_log", asking),
    client.get("/api/blindbox/infinite_prize_order_log", asking),
  ]);
  return [...(ichiban ?? []), ...(infinite ?? [])];
}
