import { describe, expect, test } from "vitest";
import { fitting, type ItemCard } from "@/pages/boxes/cards";
import { inkOn } from "@/pages/boxes/colours";
import { firstOpen, knownStock, lastPrizesOf, levelsOf, type Box, type Goods, type Item } from "@/pages/boxes/goods";
import { joined, type WinningRecord } from "@/pages/boxes/records";

const item = (goods_item_id: number, shang_id: number, stock: number | null, more: Partial<Item> = {}): Item => ({
  goods_item_id, shang_id, stock, title: `item ${goods_item_id}`, img_url: "", price: "1.00", sc_money: "0.50", weight: null, is_last_prize: false, ...more,
});
const box = (num: number, left: number | null, total: number | null = 4): Box => ({
  num, left, total, sold_out: left === 0, pool_id: num, seed_commitment: "00",
});
const goods: Goods = {
  goods_id: 7, title: "Spring", type: "ichiban", price: "9.90", image_url: "", protection_seconds: 0,
  shangs: [
    { shang_id: 1, title: "A", color: "#c00000", sort: 1 },
    { shang_id: 2, title: "B", color: "#00c000", sort: 2 },
    { shang_id: 3, title: "Last", color: "#000000", sort: 3 },
  ],
  items: [item(1, 1, 1), item(2, 2, 1), item(3, 2, 2), item(4, 3, 1, { is_last_prize: true })],
  boxes: [box(1, 0), box(2, 4), box(3, 2)],
};

describe("what is left in a box", () => {
  test("is known of fresh boxes and of empty ones, and asked for of others", () => {
    expect(knownStock(goods, box(3, 2))).toBeNull();
    expect(knownStock(goods, box(1, null, null))).toBeNull();
    expect(knownStock(goods, box(1, 0))?.size).toBe(0);
    expect(knownStock(goods, box(2, 4))?.get(3)).toEqual({ left: 2, chance: 0.5 });
  });

  test("is told by level; a last prize has no ticket", () => {
    const levels = levelsOf(goods, new Map([[1, { left: 1, chance: 0.5 }], [3, { left: 1, chance: 0.5 }]]));
    expect(levels.map(({ shang, left, total, chance }) => [shang.title, left, total, chance])).toEqual([
      ["A", 1, 1, 0.5],
      ["B", 1, 3, 0.5],
    ]);
    expect(lastPrizesOf(goods).map((one) => one.goods_item_id)).toEqual([4]);
  });

  test("is unlimited where one of the level's items is", () => {
    const endless = { ...goods, items: [item(1, 1, null), item(2, 1, 3)] };
    const stock = new Map([[1, { left: null, chance: 0.9 }], [2, { left: 3, chance: 0.1 }]]);
    expect(levelsOf(endless, stock).map(({ left, total }) => [left, total])).toEqual([[null, null]]);
  });

  test("leads to the first box that has something left", () => {
    expect(firstOpen(goods)?.num).toBe(2);
    expect(firstOpen({ ...goods, boxes: [box(1, 0)] })?.num).toBe(1);
  });
});

test("cards that are good for these goods alone are opened first, the oldest of them before the others", () => {
  const card = (item_card_id: number, goods_id: number | null, addtime: number, status = "unused"): ItemCard => ({ item_card_id, goods_id, addtime, status });
  const cards = [card(1, null, 1), card(2, 7, 9), card(3, 7, 3), card(4, 8, 1), card(5, 7, 1, "used"), card(6, 7, 1, "reserved")];
  expect(fitting(cards, 7).map((one) => one.item_card_id)).toEqual([3, 2, 1]);
});

describe("records", () => {
  const record = (id: number) => ({ id }) as WinningRecord;
  const ids = (records: WinningRecord[]) => records.map((one) => one.id);

  test("that come are put before those known, each once", () => {
    expect(ids(joined([3, 2, 1].map(record), [4, 3].map(record)))).toEqual([4, 3, 2, 1]);
  });

  test("do not pile up while a page stays open", () => {
    const known = Array.from({ length: 30 }, (_, at) => record(30 - at));
    expect(ids(joined(known, [record(31), record(30)]))).toEqual([31, ...ids(known.slice(0, -1))]);
  });

  test("are begun anew where some between may be missing", () => {
    expect(ids(joined([2, 1].map(record), [9, 8].map(record)))).toEqual([9, 8]);
  });
});

test("a level's title can be read on any colour", () => {
  expect([inkOn("#ffffff"), inkOn("#f1c40f"), inkOn("#000000"), inkOn("#8e44ad")]).toEqual(["#000", "#000", "#fff", "#fff"]);
});
