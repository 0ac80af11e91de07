import { computed, reactive, ref, shallowRef, toRaw } from "vue";
import type { Client } from "@/api/client";
import { clock } from "@/api/clock";
import { Unanswered, isReason } from "@/api/failures";
import { differences, picked, type Choice, type Difference, type Fields } from "@/components/staff/merge";
import { aboutOf, draftOf, emptyDraft, goodsTerms, itemOf, itemTerms, levelOf, stepsTo, type Draft, type ItemDraft, type Step } from "./draft";
import { wrongs, type Wrong } from "./check";
import { findGoods, listGoods, readStored, type Goods, type Stored } from "./goods";
import { outlook } from "./odds";

const CLOCKS_DIFFER_MS = 2_000;
const ABOUT_FIELDS = ["title", "price", "image_url", "protection_seconds", "confirm"] as const;
const ITEM_FIELDS = ["title", "level", "price", "sc_money", "stock", "weight", "is_last_prize", "img_url"] as const;

/** Somebody else stored another version of the goods ("about") or of an item (its key). */
export interface Conflict {
  place: string;
  name: string;
  found: Difference[];
  /** Boxes opened meanwhile. */
  boxes: { before: number; now: number } | null;
}

/**
 * The form of goods: what is stored, what is written, and the calls in between.
 *
 * Each call that succeeds moves what is stored nearer to what is written, so that a save that was cut goes on from
 * there, and makes nothing twice.
 */
export function useEditor(client: Client) {
  const stored = shallowRef<Stored | null>(null);
  const draft = reactive<Draft>(emptyDraft());
  const isSaving = ref(false);
  const saved = ref(0);
  const problem = shallowRef<{ error: unknown; place: string; name: string } | null>(null);
  const conflict = shallowRef<Conflict | null>(null);
  let unsure: { step: Step; since: number } | null = null; // whether it was done is unknown
  let begun = 0;

  const steps = computed(() => stepsTo(stored.value, draft));
  const wrong = computed<Wrong[]>(() => wrongs(draft));
  const areItemsFixed = computed(() => (stored.value?.goods.boxes ?? 0) > 0);

  function show(now: Stored): void {
    stored.value = now;
    Object.assign(draft, draftOf(now));
    problem.value = conflict.value = unsure = null;
  }

  async function load(id: string, signal?: AbortSignal): Promise<boolean> {
    const now = await readStored(client, id, signal);
    if (now) show(now);
    return now !== null;
  }

  /** Everything that differs, call by call; false where one was refused. */
  async function save(): Promise<boolean> {
    isSaving.value = true;
    saved.value = 0;
    problem.value = null;
    let step: Step | undefined;
    try {
      if (unsure) await lookForUnsure(unsure.step, unsure.since);
      unsure = null;
      while ((step = steps.value[0])) {
        begun = clock.now();
        await take(step);
        saved.value += 1;
      }
      return true;
    } catch (error) {
      if (step && error instanceof Unanswered) unsure = { step, since: begun };
      if (step && isReason(error, "CONFLICT")) await meet(step).catch(() => undefined); // then the conflict is told as it came
      if (!conflict.value) problem.value = { error, place: step ? placeOf(step) : "about", name: step?.name ?? "" };
      return false;
    } finally {
      isSaving.value = false;
    }
  }

  async function take(step: Step): Promise<void> {
    const id = stored.value?.goods.goods_id ?? "";
    const body = step.kind === "goods" || step.kind === "level" ? step.body : withLevelId(step.body);
    if (step.kind === "goods") keepGoods(await putGoods(client, stored.value?.goods ?? null, body));
    else if (step.kind === "level") keepLevel(step.key, await client.post("/admin/api/goods/{goods_id}/shangs", { path: { goods_id: id }, body } as never));
    else if (step.kind === "new-item") keepItem(step.key, await client.post("/admin/api/goods/{goods_id}/items", { path: { goods_id: id }, body } as never));
    else keepItem(step.key, await putItem(id, step, body));
  }

  function putItem(id: string, step: Extract<Step, { kind: "item" }>, body: object) {
    const path = { goods_id: id, goods_item_id: step.id };
    const asking = { path, body, headers: { "if-match": step.etag } } as never;
    return client.put("/admin/api/goods/{goods_id}/items/{goods_item_id}", asking);
  }

  /** A new item may stand in a level that was new itself when the form was written. */
  function withLevelId(body: Record<string, unknown>): Record<string, unknown> {
    const level = draft.levels.find((one) => one.key === body["shang_id"]);
    return level ? { ...body, shang_id: level.id } : body;
  }

  function keepGoods(goods: Goods): void {
    const { levels = [], items = [] } = stored.value ?? {};
    stored.value = { goods, levels, items };
    Object.assign(draft.about, aboutOf(goods));
  }

  function keepLevel(key: string, level: Stored["levels"][number]): void {
    const now = stored.value as Stored;
    replace(draft.levels, key, levelOf(level));
    for (const item of draft.items) if (item.level === key) item.level = level.shang_id;
    stored.value = { ...now, levels: [...now.levels, level] };
  }

  function keepItem(key: string, item: Stored["items"][number], written: Partial<ItemDraft> = {}): void {
    const now = stored.value as Stored;
    replace(draft.items, key, { ...itemOf(item), ...written });
    const others = now.items.filter((one) => one.goods_item_id !== item.goods_item_id);
    stored.value = { ...now, items: [...others, item] };
  }

  /** An unanswered call may have been done: what it would have made is looked for before it is made again. */
  async function lookForUnsure(step: Step, since: number): Promise<void> {
    const before = stored.value;
    if (!before) {
      const newest = (await listGoods(client)).goods.find((one) => isMadeBy(step, one, since));
      if (!newest) return;
      // What was written since then stays, and is saved next; the type alone is fixed.
      draft.about.type = newest.type as Draft["about"]["type"];
      stored.value = { goods: newest, levels: [], items: [] };
      return;
    }
    const now = await readStored(client, before.goods.goods_id);
    if (now) adoptDone(step, before, now);
  }

  function adoptDone(step: Step, before: Stored, now: Stored): void {
    const { type } = draft.about;
    const isNamed = ({ title }: { title: string }) => title === step.body["title"];
    if (step.kind === "goods") {
      if (isSame(goodsTerms(aboutOf(now.goods)), goodsTerms(draft.about))) keepGoods(now.goods);
    } else if (step.kind === "level") {
      const made = now.levels.find((one) => isNamed(one) && !before.levels.some((old) => old.shang_id === one.shang_id));
      if (made) keepLevel(step.key, made);
    } else if (step.kind === "new-item") {
      const made = now.items.find((one) => isNamed(one) && !before.items.some((old) => old.goods_item_id === one.goods_item_id));
      const mine = draft.items.find((one) => one.key === step.key);
      if (made) keepItem(step.key, made, mine && only(ITEM_FIELDS, mine));
    } else {
      const [mine, theirs] = [draft.items.find((one) => one.key === step.key), now.items.find((one) => one.goods_item_id === step.id)];
      if (mine && theirs && isSame(itemTerms(mine, type), itemTerms(itemOf(theirs), type))) keepItem(step.key, theirs);
    }
  }

  /** Shows both versions of what was refused. */
  async function meet(step: Step): Promise<void> {
    const before = stored.value as Stored;
    const current = await readStored(client, before.goods.goods_id);
    if (!current) return;
    conflict.value = step.kind === "goods" ? goodsConflict(before, current) : itemConflict(step, before, current);
    if (step.kind !== "goods") Object.assign(draft.about, aboutOf(current.goods));
    adoptOthers(before, current, placeOf(step));
  }

  function goodsConflict(before: Stored, current: Stored): Conflict {
    const found = between(ABOUT_FIELDS, aboutOf(before.goods), toRaw(draft.about), aboutOf(current.goods));
    const boxes = { before: before.goods.boxes, now: current.goods.boxes };
    return { place: "about", name: before.goods.title, found, boxes: boxes.before === boxes.now ? null : boxes };
  }

  function itemConflict(step: Step, before: Stored, current: Stored): Conflict | null {
    const key = placeOf(step);
    const one = ({ items }: Stored) => items.find((item) => item.goods_item_id === key);
    const [old, now, mine] = [one(before), one(current), draft.items.find((item) => item.key === key)];
    if (!old || !now || !mine) return null;
    const found = between(ITEM_FIELDS, itemOf(old), toRaw(mine), itemOf(now));
    return { place: key, name: old.title, found, boxes: null };
  }

  /** What the other editor made or changed, and this form did not touch, is shown as it is stored now. */
  function adoptOthers(before: Stored, current: Stored, place: string): void {
    const known = new Set(draft.levels.map((one) => one.key));
    draft.levels.push(...current.levels.map(levelOf).filter((one) => !known.has(one.key)));
    const old = new Map(before.items.map((one) => [one.goods_item_id, one]));
    const isTouched = (key: string) => {
      const [mine, from] = [draft.items.find((one) => one.key === key), old.get(key)];
      return mine && from && ITEM_FIELDS.some((field) => mine[field] !== itemOf(from)[field]);
    };
    const items = current.items.filter((one) => !isTouched(one.goods_item_id)).map(itemOf);
    const untouched = new Map(items.map((one) => [one.key, one]));
    // What both changed meets its own conflict when its turn comes: until then it stays as this form began from it.
    const kept = current.items.map((one) => {
      const isOwnTurn = one.goods_item_id === place || untouched.has(one.goods_item_id);
      return isOwnTurn ? one : (old.get(one.goods_item_id) ?? one);
    });
    const fresh = items.filter((one) => !draft.items.some((mine) => mine.key === one.key));
    draft.items = [...draft.items.map((mine) => untouched.get(mine.key) ?? mine), ...fresh];
    stored.value = { ...current, items: kept };
  }

  /** Goes on with the fields as chosen, for the version that was shown. */
  async function settle(choices: Record<string, Choice>): Promise<boolean> {
    const { place, found } = conflict.value as Conflict;
    const target = place === "about" ? draft.about : (draft.items.find((item) => item.key === place) as ItemDraft);
    const current = stored.value?.items.find((item) => item.goods_item_id === place);
    Object.assign(target, picked(found, choices), current ? { etag: current.etag } : {});
    conflict.value = null;
    return save();
  }

  /** Reads the goods anew; what both changed is shown side by side. */
  async function refreshGoods(): Promise<void> {
    const before = stored.value as Stored;
    const goods = await findGoods(client, before.goods.goods_id).catch(() => null);
    if (!goods) return;
    const met = goodsConflict(before, { ...before, goods });
    if (met.found.some((one) => one.changedBy === "both")) conflict.value = met;
    else Object.assign(draft.about, picked(met.found, {}));
    stored.value = { ...before, goods };
  }

  return {
    ...{ stored, draft, steps, wrong, areItemsFixed, isSaving, saved, problem, conflict },
    ...{ load, show, save, settle, keepGoods },
    outlook: computed(() => outlook(draft)),
    /** Goods whose shelf was changed beside the form. */
    keepShelf: (goods: Goods) => void (stored.value = { ...(stored.value as Stored), goods }),
    refreshGoods,
  };
}

export type Editor = ReturnType<typeof useEditor>;

/** Where two hands' versions of these fields differ. */
function between<T extends object>(fields: readonly (keyof T)[], base: T, mine: T, theirs: T): Difference[] {
  const these = (one: T) => only(fields, one) as Fields;
  return differences(these(base), these(mine), these(theirs));
}

function only<T extends object>(fields: readonly (keyof T)[], one: T): Partial<T> {
  return Object.fromEntries(fields.map((field) => [field, one[field]])) as Partial<T>;
}

/** Puts it in the place of the one with the key; at the end where that was taken out meanwhile. */
function replace<T extends { key: string }>(all: T[], key: string, one: T): void {
  const place = all.findIndex((other) => other.key === key);
  all.splice(place < 0 ? all.length : place, 1, one);
}

const isSame = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b);

function placeOf(step: Step): string {
  return step.kind === "goods" ? "about" : step.key;
}

function isMadeBy(step: Step, { title, type, created_at }: Goods, since: number): boolean {
  const isSame = title === step.body["title"] && type === step.body["type"];
  return isSame && Date.parse(created_at) > since - CLOCKS_DIFFER_MS;
}

/** Creates goods, or changes the version that is known. */
export function putGoods(client: Client, known: Goods | null, body: Record<string, unknown>): Promise<Goods> {
  if (!known) return client.post("/admin/api/goods", { body } as never);
  const asking = { path: { goods_id: known.goods_id }, headers: { "if-match": known.etag }, body };
  return client.put("/admin/api/goods/{goods_id}", asking as never);
}
