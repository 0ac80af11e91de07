import type { Draft, ItemDraft } from "./draft";

/** A place in the form that cannot be saved as it is: "about", or a level's or an item's key; and why. */
export interface Wrong {
  place: string;
  field: string;
  /** The message's name below catalog.wrong. */
  why: string;
}

const MONEY = /^\d{1,8}(\.\d{1,2})?$/;
const COUNT = /^[1-9]\d{0,9}$/;
const MOST = 1_000_000_000;
const LONGEST_PROTECTION_S = 86_400;

/** What the API would refuse, before it is asked. */
export function wrongs(draft: Draft): Wrong[] {
  return [...aboutWrongs(draft), ...levelWrongs(draft), ...itemWrongs(draft)];
}

function aboutWrongs({ about }: Draft): Wrong[] {
  const seconds = about.protection_seconds.trim();
  const isSpan = !seconds || (/^\d{1,5}$/.test(seconds) && Number(seconds) <= LONGEST_PROTECTION_S);
  return found("about", {
    title: nameWrong(about.title),
    price: isMoney(about.price) ? "" : "money",
    image_url: about.image_url.length > 2000 ? "too_long" : "",
    protection_seconds: isSpan ? "" : "seconds",
  });
}

function levelWrongs({ levels }: Draft): Wrong[] {
  return levels.filter((one) => one.id === null).flatMap((one) => found(one.key, { title: nameWrong(one.title) }));
}

function itemWrongs(draft: Draft): Wrong[] {
  const levels = new Set(draft.levels.map((one) => one.key));
  const lasts = draft.about.type === "ichiban" ? draft.items.filter((one) => one.is_last_prize) : [];
  return draft.items.flatMap((item) =>
    found(item.key, {
      title: nameWrong(item.title),
      level: levels.has(item.level) ? "" : "level",
      price: isMoney(item.price) ? "" : "money",
      sc_money: isMoney(item.sc_money) ? "" : "money",
      img_url: item.img_url.length > 2000 ? "too_long" : "",
      is_last_prize: lasts.length > 1 && lasts.includes(item) ? "second_last_prize" : "",
      ...(draft.about.type === "ichiban" ? ichibanWrongs(item) : infiniteWrongs(item)),
    }),
  );
}

function ichibanWrongs({ stock, is_last_prize }: ItemDraft): Record<string, string> {
  return { stock: is_last_prize || isCount(stock) ? "" : "stock" };
}

function infiniteWrongs({ stock, weight }: ItemDraft): Record<string, string> {
  return {
    stock: !stock.trim() || isCount(stock) ? "" : "count",
    weight: weight.trim() ? (isCount(weight) ? "" : "count") : stock.trim() ? "" : "weight",
  };
}

const isMoney = (text: string) => !text.trim() || MONEY.test(text.trim());
const isCount = (text: string) => COUNT.test(text.trim()) && Number(text) <= MOST;

function nameWrong(text: string): string {
  if (!text.trim()) return "empty";
  return [...text.trim()].length > 100 ? "too_long_name" : "";
}

function found(place: string, fields: Record<string, string>): Wrong[] {
  return Object.entries(fields).flatMap(([field, why]) => (why ? [{ place, field, why }] : []));
}
