import { computed, onScopeDispose, ref, shallowRef, type Ref, type WatchSource } from "vue";
import { useLoaded, type Loaded } from "./loaded";

/** A page of a list, and whether others follow. */
export interface Page<T> {
  rows: T[];
  has_more: boolean;
}

export interface Pages<T> extends Omit<Loaded<T[]>, "data"> {
  /** What was read, nothing twice; undefined: nothing yet. */
  rows: Readonly<Ref<T[] | undefined>>;
  hasMore: Readonly<Ref<boolean>>;
  /** Why the next page did not come. */
  moreError: Readonly<Ref<unknown>>;
  readOn(): Promise<void>;
}

/** A list's first page, and the next ones as they are asked for. What is new meanwhile moves rows to later pages. */
export function usePages<T>(read: (page: number, signal: AbortSignal) => Promise<Page<T>>, idOf: (one: T) => string, on: WatchSource[] = []): Pages<T> {
  const older = shallowRef<T[]>([]);
  const isMore = ref(false);
  const moreError = shallowRef<unknown>();
  let page = 1;
  let current: AbortController | null = null;

  const { data, error, isLoading, reload } = useLoaded(async (signal) => {
    const got = await read(1, signal);
    current?.abort();
    current = null;
    page = 1;
    older.value = [];
    isMore.value = got.has_more;
    moreError.value = undefined;
    return got.rows;
  }, { on });

  async function readOn(): Promise<void> {
    if (current) return; // else a second click would leave a page out
    const own = (current = new AbortController());
    moreError.value = undefined;
    try {
      const got = await read(page + 1, own.signal);
      if (current !== own) return;
      page += 1;
      older.value = [...older.value, ...got.rows];
      isMore.value = got.has_more;
    } catch (failed) {
      if (current === own) moreError.value = failed;
    } finally {
      if (current === own) current = null;
    }
  }
  onScopeDispose(() => current?.abort());

  const rows = computed(() => data.value && [...new Map([...data.value, ...older.value].map((one) => [idOf(one), one])).values()]);
  const hasMore = computed(() => data.value !== undefined && isMore.value);
  return { rows, hasMore, moreError, error, isLoading, reload, readOn };
}

/** All rows of a list that is given in pages alone. */
export async function everyRow<T>(read: (page: number) => Promise<Page<T>>): Promise<T[]> {
  const found: T[] = [];
  for (let page = 1; ; page++) {
    const { rows, has_more } = await read(page);
    found.push(...rows);
    if (!has_more) return found;
  }
}
