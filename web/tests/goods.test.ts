import { describe, expect, test } from "vitest";
import type { Client } from "@/api/client";
import { Refused, Unanswered } from "@/api/failures";
import { choiceFor, differences, picked } from "@/components/staff/merge";
import { wrongs } from "@/pages/catalog/check";
import { draftOf, emptyDraft, money, newItem, newLevel, stepsTo, type Draft } from "@/pages/catalog/draft";
import { useEditor } from "@/pages/catalog/editor";
import type { Goods, Item, Level, Stored } from "@/pages/catalog/goods";
import { outlook } from "@/pages/catalog/odds";

/** A server that keeps goods as the real one does, with etags; `trip` fails a call before, or after, it is done. */
class Shop {
  goods: Goods[] = [];
  levels: Level[] = [];
  items: Item[] = [];
  calls: string[] = [];
  trip: { at: number; after: boolean; error: Error } | null = null;
  private last = 0;

  readonly client = { get: this.get.bind(this), post: this.write.bind(this), put: this.write.bind(this) } as unknown as Client;

  private async get(path: string): Promise<unknown> {
    if (path.endsWith("/shangs")) return { shangs: [...this.levels] };
    if (path.endsWith("/items")) return { items: [...this.items] };
    return { goods: [...this.goods], page: 1, page_size: 100, has_more: false };
  }

  private async write(path: string, asking: { path?: Record<string, string>; body: Record<string, unknown>; headers?: Record<string, string> }): Promise<unknown> {
    const trip = this.trip?.at === this.calls.length + 1 ? this.trip : null;
    this.calls.push(`${path} ${JSON.stringify(asking.body)}`);
    if (trip && !trip.after) throw trip.error;
    const done = this.done(path, asking.path ?? {}, asking.body, asking.headers?.["if-match"]);
    if (trip) throw trip.error;
    return done;
  }

  private done(path: string, at: Record<string, string>, body: Record<string, unknown>, etag?: string): unknown {
    const id = String(++this.last);
    if (path.endsWith("/shangs")) return kept(this.levels, { shang_id: id, goods_id: "1", color: "", sort: 0, title: "", ...body });
    if (path.endsWith("/items")) return kept(this.items, { ...ITEM, goods_item_id: id, etag: id, ...body });
    if (path.endsWith("{goods_item_id}")) return this.changed(this.items, (one) => one.goods_item_id === at["goods_item_id"], body, etag);
    if (path.endsWith("{goods_id}")) return this.changed(this.goods, (one) => one.goods_id === at["goods_id"], body, etag);
    return kept(this.goods, { ...GOODS, goods_id: id, etag: id, created_at: new Date().toISOString(), ...body });
  }

  private changed<T extends { etag: string }>(all: T[], is: (one: T) => boolean, body: object, etag?: string): T {
    const place = all.findIndex(is);
    if (etag && etag !== all[place]?.etag) throw new Refused(409, "CONFLICT", "Somebody else was faster.");
    return (all[place] = { ...(all[place] as T), ...body, etag: String(++this.last) });
  }
}

function kept<T>(all: T[], one: unknown): T {
  all.push(one as T);
  return one as T;
}

const GOODS: Goods = {
  ...{ goods_id: "1", title: "Lanterns", type: "ichiban", price: "9.90", image_url: "", on_shelf: false, protection_seconds: 0, is_ended: false },
  ...{ boxes: 0, created_at: "2027-01-01T00:00:00Z", updated_at: "2027-01-01T00:00:00Z", confirm: "store", etag: "g1" },
};
const ITEM: Item = {
  ...{ goods_item_id: "7", goods_id: "1", shang_id: "3", title: "Lamp", img_url: "", price: "30.00", sc_money: "4.00" },
  ...{ stock: "2", weight: null, is_last_prize: false, etag: "i1" },
};
const LEVEL: Level = { shang_id: "3", goods_id: "1", title: "A", color: "#c8281e", sort: 0 };
const STORED: Stored = { goods: GOODS, levels: [LEVEL], items: [ITEM] };

function written(): Draft {
  const draft = emptyDraft();
  const [a, b] = [newLevel([]), newLevel([newLevel([])])];
  Object.assign(draft.about, { title: "Lanterns", price: "5" });
  draft.levels.push(a, b);
  draft.items.push({ ...newItem(a.key), title: "Lamp", stock: "2", price: "30" });
  draft.items.push({ ...newItem(b.key), title: "Candle", stock: "8", price: "2.5", sc_money: "1" });
  draft.items.push({ ...newItem(a.key), title: "Last", is_last_prize: true, price: "60" });
  return draft;
}

describe("what goods will do", () => {
  test("is known before they are saved: odds by what is left, what a box brings and gives", () => {
    const { levels, tickets, income, worth, worthPerTicket, recoveryPerTicket } = outlook(written());
    expect(levels.map((one) => one.chance)).toEqual([0.2, 0.8]);
    expect([tickets, income, worth]).toEqual([10, 50, 2 * 30 + 8 * 2.5 + 60]);
    expect([worthPerTicket, recoveryPerTicket]).toEqual([0.2 * 30 + 0.8 * 2.5, 0.8]);
  });

  test("goes by fixed weights where infinite goods have some, and never runs out where an item is unlimited", () => {
    const draft = written();
    draft.about.type = "infinite";
    draft.items = draft.items.slice(0, 2);
    Object.assign(draft.items[1] as object, { stock: "", weight: "6" });
    const found = outlook(draft);
    expect(found.levels.map((one) => [one.chance, one.units])).toEqual([[0.25, 2], [0.75, null]]);
    expect([found.tickets, found.income]).toEqual([null, null]);
  });

  test("warns where recycling pays more than a draw costs", () => {
    const draft = written();
    draft.about.price = "0.5";
    expect(outlook(draft).warnings).toContain("recovery_above_price");
    expect(outlook(written()).warnings).not.toContain("recovery_above_price");
  });
});

describe("the form", () => {
  test("says what the API would refuse, place by place", () => {
    expect(wrongs(written())).toEqual([]);
    const draft = written();
    Object.assign(draft.about, { title: " ", price: "1.234", protection_seconds: "86401" });
    Object.assign(draft.items[0] as object, { stock: "0", level: "gone" });
    Object.assign(draft.items[1] as object, { is_last_prize: true });
    expect(wrongs(draft).map((one) => `${one.field} ${one.why}`).sort()).toEqual(
      ["is_last_prize second_last_prize", "is_last_prize second_last_prize", "level level", "price money", "protection_seconds seconds", "stock stock", "title empty"],
    );
  });

  test("asks an infinite item without units for a weight", () => {
    const draft = written();
    draft.about.type = "infinite";
    Object.assign(draft.items[0] as object, { stock: "" });
    expect(wrongs(draft).map((one) => one.why)).toContain("weight");
  });

  test("needs no call where nothing differs, and names what does", () => {
    const draft = draftOf(STORED);
    expect(stepsTo(STORED, draft)).toEqual([]);
    Object.assign(draft.about, { price: "9.9", protection_seconds: "30" });
    Object.assign(draft.items[0] as object, { stock: "5" });
    expect(stepsTo(STORED, draft).map((step) => step.body)).toEqual([{ protection_seconds: 30 }, { stock: "5" }]);
  });

  test("writes amounts as the API does", () => {
    expect(["5", "05.5", "", " 7.25 ", "x"].map(money)).toEqual(["5.00", "5.50", "0.00", "7.25", "x"]);
  });
});

describe("a save", () => {
  test("makes goods, then levels, then items that stand in them", async () => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    expect(await editor.save()).toBe(true);
    const [a, b] = shop.levels.map((one) => one.shang_id);
    expect(shop.items.map((one) => [one.title, one.shang_id])).toEqual([["Lamp", a], ["Candle", b], ["Last", a]]);
    expect(shop.goods[0]).toMatchObject({ title: "Lanterns", on_shelf: false });
    expect([editor.steps.value, editor.saved.value]).toEqual([[], 6]);
  });

  test.each([1, 2, 3, 5])("whose call %i was done and not answered goes on from there, and makes nothing twice", async (at) => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    shop.trip = { at, after: true, error: new Unanswered("cut") };
    expect(await editor.save()).toBe(false);
    expect(await editor.save()).toBe(true);
    expect([shop.goods.length, shop.levels.length, shop.items.length]).toEqual([1, 2, 3]);
    expect(editor.steps.value).toEqual([]);
  });

  test("that is repeated keeps what was written since the answer was lost", async () => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    shop.trip = { at: 1, after: true, error: new Unanswered("cut") };
    expect(await editor.save()).toBe(false);
    editor.draft.about.price = "7";
    shop.trip = { at: 5, after: true, error: new Unanswered("cut") }; // the first item; the price was call 2
    expect(await editor.save()).toBe(false);
    Object.assign(editor.draft.items[0] as object, { stock: "4" });
    expect(await editor.save()).toBe(true);
    expect([shop.goods.length, shop.goods[0]?.price, shop.items.length, shop.items[0]?.stock]).toEqual([1, "7.00", 3, "4"]);
  });

  test("whose conflict cannot be read up on says that there is one", async () => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    await editor.save();
    shop.goods[0] = { ...(shop.goods[0] as Goods), etag: "another" };
    editor.draft.about.price = "6";
    (shop.client as { get: unknown }).get = () => Promise.reject(new Unanswered("cut"));
    expect([await editor.save(), editor.isSaving.value]).toEqual([false, false]);
    expect(editor.problem.value?.error).toMatchObject({ reason: "CONFLICT" });
  });

  test("that was done and not answered is no conflict with itself", async () => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    await editor.save();
    Object.assign(editor.draft.about, { price: "6" });
    Object.assign(editor.draft.items[0] as object, { stock: "4" });
    for (const at of [7, 8]) {
      shop.trip = { at, after: true, error: new Unanswered("cut") };
      expect(await editor.save()).toBe(false);
    }
    expect([await editor.save(), editor.conflict.value, shop.calls.length]).toEqual([true, null, 8]);
    expect([shop.goods[0]?.price, shop.items[0]?.stock]).toEqual(["6.00", "4"]);
  });

  test("that is refused in the middle keeps what was saved, and says where it stopped", async () => {
    const shop = new Shop();
    const editor = useEditor(shop.client);
    Object.assign(editor.draft, written());
    shop.trip = { at: 5, after: false, error: new Refused(400, "INVALID_ARGUMENT", "No.", { field: "price" }) };
    expect(await editor.save()).toBe(false);
    expect(editor.problem.value).toMatchObject({ name: "Candle", place: editor.draft.items[1]?.key });
    expect(editor.steps.value.map((step) => step.name)).toEqual(["Candle", "Last"]);
  });
});

describe("two editors", () => {
  async function both() {
    const shop = new Shop();
    const first = useEditor(shop.client);
    Object.assign(first.draft, written());
    await first.save();
    const second = useEditor(shop.client);
    await second.load(shop.goods[0]?.goods_id ?? "");
    return { shop, first, second };
  }

  test("see both versions; what one of them changed holds, and what both did is chosen", async () => {
    const { shop, first, second } = await both();
    Object.assign(first.draft.about, { title: "Theirs", price: "7" });
    Object.assign(second.draft.about, { title: "Yours", protection_seconds: "60" });
    expect([await first.save(), await second.save()]).toEqual([true, false]);
    expect(second.conflict.value?.found.map((one) => [one.field, one.theirs, one.mine, one.changedBy])).toEqual([
      ["title", "Theirs", "Yours", "both"],
      ["price", "7.00", "5.00", "them"],
      ["protection_seconds", "", "60", "me"],
    ]);
    expect(shop.goods[0]).toMatchObject({ title: "Theirs", price: "7.00" });
    expect(await second.settle({ title: "mine" })).toBe(true);
    expect(shop.goods[0]).toMatchObject({ title: "Yours", price: "7.00", protection_seconds: 60 });
  });

  test("of items meet one by one, and nobody's untouched item takes the other's change back", async () => {
    const { shop, first, second } = await both();
    const edit = (editor: typeof first, place: number, change: object) => Object.assign(editor.draft.items[place] as object, change);
    edit(first, 0, { stock: "3" });
    edit(first, 1, { stock: "9" });
    edit(first, 2, { price: "61" });
    edit(second, 0, { stock: "4" });
    edit(second, 1, { price: "2" });
    expect([await first.save(), await second.save()]).toEqual([true, false]);
    expect(second.conflict.value?.name).toBe("Lamp");
    expect(await second.settle({ stock: "theirs" })).toBe(false); // the next one
    expect(second.conflict.value).toMatchObject({ name: "Candle", found: [{ field: "price", changedBy: "me" }, { field: "stock", changedBy: "them" }] });
    expect(await second.settle({})).toBe(true);
    expect(shop.items.map((one) => [one.title, one.stock, one.price])).toEqual([["Lamp", "3", "30.00"], ["Candle", "9", "2.00"], ["Last", "1", "61.00"]]);
  });

  test("merge three ways", () => {
    const mine = { a: 1, b: 3, c: 3, d: 2 };
    const found = differences({ a: 1, b: 1, c: 1, d: 1 }, mine, { a: 2, b: 1, c: 2, d: 2 });
    expect(found.filter((one) => one.changedBy === "both").map((one) => one.field)).toEqual(["c"]);
    expect(found.map((one) => [one.field, choiceFor(one)])).toEqual([["a", "theirs"], ["b", "mine"], ["c", "theirs"]]); // in d both agree
    expect({ ...mine, ...picked(found, { c: "mine" }) }).toEqual({ a: 2, b: 3, c: 3, d: 2 });
  });
});
