import type { Goods, Item, Level, Stored } from "./goods";

/** What stands in the form, as it is written there. New levels and items have no id yet. */
export interface LevelDraft {
  key: string;
  id: string | null;
  title: string;
  color: string;
}

export interface ItemDraft {
  key: string;
  id: string | null;
  etag: string;
  level: string;
  title: string;
  img_url: string;
  price: string;
  sc_money: string;
  stock: string;
  weight: string;
  is_last_prize: boolean;
}

export interface AboutDraft {
  title: string;
  type: "ichiban" | "infinite";
  price: string;
  image_url: string;
  protection_seconds: string;
  confirm: "store" | "replica" | "recorded";
}

export interface Draft {
  about: AboutDraft;
  levels: LevelDraft[];
  items: ItemDraft[];
}

/** One call that makes what is stored a little more what the form says. */
export type Step =
  | { kind: "goods"; name: string; body: Record<string, unknown> }
  | { kind: "level"; key: string; name: string; body: Record<string, unknown> }
  | { kind: "new-item"; key: string; name: string; body: Record<string, unknown> }
  | { kind: "item"; key: string; id: string; etag: string; name: string; body: Record<string, unknown> };

const COLOURS = ["#c8281e", "#d9822b", "#e0b400", "#2f8f5b", "#24528f", "#6a4fa3", "#8d8478"];
let made = 0;

export function emptyDraft(): Draft {
  return {
    about: { title: "", type: "ichiban", price: "", image_url: "", protection_seconds: "", confirm: "store" },
    levels: [],
    items: [],
  };
}

export function newLevel(levels: readonly LevelDraft[]): LevelDraft {
  const title = String.fromCharCode(65 + Math.min(levels.length, 25)); // A, B, C …
  return { key: `new-${++made}`, id: null, title, color: COLOURS[levels.length % COLOURS.length] ?? "#8d8478" };
}

export function newItem(level: string): ItemDraft {
  const empty = { etag: "", title: "", img_url: "", price: "", sc_money: "", stock: "", weight: "" };
  return { key: `new-${++made}`, id: null, level, is_last_prize: false, ...empty };
}

export function draftOf({ goods, levels, items }: Stored): Draft {
  return { about: aboutOf(goods), levels: levels.map(levelOf), items: items.map(itemOf) };
}

export function aboutOf(goods: Goods): AboutDraft {
  const { title, type, price, image_url, protection_seconds, confirm } = goods;
  return {
    ...{ title, price, image_url },
    type: type as AboutDraft["type"],
    protection_seconds: protection_seconds ? String(protection_seconds) : "",
    confirm: confirm as AboutDraft["confirm"],
  };
}

export function levelOf({ shang_id, title, color }: Level): LevelDraft {
  return { key: shang_id, id: shang_id, title, color };
}

export function itemOf(item: Item): ItemDraft {
  const { goods_item_id, shang_id, etag, title, img_url, price, sc_money, stock, weight, is_last_prize } = item;
  return {
    ...{ etag, title, img_url, price, sc_money, is_last_prize },
    ...{ key: goods_item_id, id: goods_item_id, level: shang_id },
    ...{ stock: stock ?? "", weight: weight ?? "" },
  };
}

/** The calls that are left until what is stored is what the form says, in the order that they need. */
export function stepsTo(stored: Stored | null, draft: Draft): Step[] {
  return [...goodsSteps(stored, draft), ...levelSteps(stored, draft), ...itemSteps(stored, draft)];
}

function goodsSteps(stored: Stored | null, { about }: Draft): Step[] {
  const step = (body: Record<string, unknown>): Step => ({ kind: "goods", name: about.title, body });
  if (!stored) return [step(createdGoods(about))];
  const body = changed(goodsTerms(aboutOf(stored.goods)), goodsTerms(about));
  return Object.keys(body).length ? [step(body)] : [];
}

function createdGoods(about: AboutDraft): Record<string, unknown> {
  return { ...filled(goodsTerms(about)), type: about.type, on_shelf: false };
}

export function goodsTerms({ title, price, image_url, protection_seconds, confirm }: AboutDraft) {
  const seconds = protection_seconds.trim() ? Number(protection_seconds) : null;
  return { title: title.trim(), price: money(price), image_url: image_url.trim() || null, protection_seconds: seconds, confirm };
}

function levelSteps(stored: Stored | null, { levels }: Draft): Step[] {
  const above = Math.max(-1, ...(stored?.levels ?? []).map((one) => one.sort));
  const fresh = levels.filter((one) => one.id === null);
  return fresh.map(({ key, title, color }, place) => {
    return { kind: "level", key, name: title, body: { title: title.trim(), color, sort: above + 1 + place } };
  });
}

function itemSteps(stored: Stored | null, { about, items }: Draft): Step[] {
  const known = new Map((stored?.items ?? []).map((item) => [item.goods_item_id, itemOf(item)]));
  return items.flatMap((item): Step[] => {
    const { key, id, etag, title: name } = item;
    const terms = itemTerms(item, about.type);
    const before = id === null ? undefined : known.get(id);
    if (id === null || !before) return [{ kind: "new-item", key, name, body: filled(terms) }];
    const body = changed(itemTerms(before, about.type), terms);
    return Object.keys(body).length ? [{ kind: "item", key, id, etag, name, body }] : [];
  });
}

export function itemTerms(item: ItemDraft, type: AboutDraft["type"]) {
  const { title, level, price, sc_money, img_url, is_last_prize, stock, weight } = item;
  const isLast = type === "ichiban" && is_last_prize;
  return {
    ...{ title: title.trim(), shang_id: level, is_last_prize: isLast },
    ...{ price: money(price), sc_money: money(sc_money), img_url: img_url.trim() || null },
    stock: isLast ? "1" : stock.trim() || null,
    weight: type === "infinite" ? weight.trim() || null : null,
  };
}

/** Without what is empty, for something new. */
function filled(terms: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(terms).filter(([, value]) => value !== null));
}

function changed(before: object, after: object): Record<string, unknown> {
  const old = before as Record<string, unknown>;
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => value !== old[name]));
}

/** As the API writes it: two decimals; what is no amount stays, for the server to say so. */
export function money(text: string): string {
  const trimmed = text.trim() || "0";
  if (!/^\d{1,8}(\.\d{1,2})?$/.test(trimmed)) return trimmed;
  const [units = "0", cents = ""] = trimmed.split(".");
  return `${units.replace(/^0+(?=\d)/, "")}.${cents.padEnd(2, "0")}`;
}
