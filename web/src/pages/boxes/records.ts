import { computed, shallowRef, watch, type Ref } from "vue";
import { anybody } from "@/api/client";
import type { components } from "@/api/schema";
import { useLoaded } from "@/compose/loaded";
import type { Box, Goods } from "./goods";

export type WinningRecord = components["schemas"]["blindbox.WinningRecord"];

interface Of {
  goods: Goods;
  box: Box;
}

const EVERY_MS = 5_000;
const PAGE = 20;

/**
 * `latest` before those of `known` that are not among it, a page of them or as many as were known; where a gap may lie
 * between them, `latest` alone.
 */
export function joined(known: readonly WinningRecord[], latest: readonly WinningRecord[]): WinningRecord[] {
  const ids = new Set(latest.map((one) => one.id));
  const older = known.filter((one) => !ids.has(one.id));
  const all = older.length < known.length ? [...latest, ...older] : latest;
  return all.slice(0, Math.max(PAGE, known.length));
}

/**
 * Who got what from a box, newest first: of today for a numbered box, of all days for an endless one.
 * `level`: the id of the only level wanted; 0: all.
 */
export function useRecords(of: () => Of, level: Readonly<Ref<number>>) {
  const isEndless = of().goods.type === "infinite";
  const newest = shallowRef<WinningRecord>();
  const known = shallowRef<WinningRecord[]>([]); // of endless boxes: as many pages as were read
  const lastPage = shallowRef(1);
  const problem = shallowRef<unknown>();

  async function page(number: number, shang_id: number, signal?: AbortSignal) {
    const query = { goods_id: of().goods.goods_id, page: number, page_size: PAGE, shang_id };
    const got = await anybody.get("/api/blindbox/infinite_shang_log", { query, ...(signal ? { signal } : {}) });
    return got ?? { data: [], last_page: 1 };
  }

  async function ofToday(signal: AbortSignal): Promise<WinningRecord[]> {
    const { goods, box } = of();
    const query = { goods_id: goods.goods_id };
    const rows = (await anybody.get("/api/blindbox/daily_prize_records", { query, signal })) ?? [];
    const own = rows.filter((one) => one.num === box.num);
    newest.value = own[0];
    return own;
  }

  async function ofAllDays(signal: AbortSignal): Promise<WinningRecord[]> {
    const wanted = level.value;
    const got = await page(1, wanted, signal);
    const others = wanted && of().goods.protection_seconds ? (await page(1, 0, signal)).data : got.data;
    newest.value = others[0];
    lastPage.value = got.last_page;
    known.value = joined(known.value, got.data);
    return known.value;
  }

  const { data, error, reload } = useLoaded(isEndless ? ofAllDays : ofToday, isEndless ? { every: EVERY_MS } : {});
  watch(() => of().box.left, () => void reload());
  watch(level, () => {
    known.value = [];
    if (isEndless) void reload();
  });

  const records = computed(() => {
    if (isEndless) return known.value;
    return (data.value ?? []).filter((one) => !level.value || one.shang_id === level.value);
  });

  /** The next page of an endless box's. */
  async function readOn(): Promise<void> {
    problem.value = undefined;
    try {
      const wanted = level.value;
      const got = await page(Math.floor(known.value.length / PAGE) + 1, wanted);
      if (wanted !== level.value) return;
      const ids = new Set(known.value.map((one) => one.id));
      known.value = [...known.value, ...got.data.filter((one) => !ids.has(one.id))];
    } catch (failed) {
      problem.value = failed;
    }
  }

  return {
    records,
    newest,
    isLoaded: computed(() => data.value !== undefined),
    error: computed(() => error.value ?? problem.value),
    hasMore: computed(() => isEndless && Math.ceil(known.value.length / PAGE) < lastPage.value),
    reload,
    readOn,
  };
}
