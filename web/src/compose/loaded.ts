import { onScopeDispose, ref, shallowRef, watch, type Ref, type WatchSource } from "vue";

export interface Loaded<T> {
  /** What was loaded last; it stays while a newer one is on its way, and where that fails. */
  data: Readonly<Ref<T | undefined>>;
  error: Readonly<Ref<unknown>>;
  isLoading: Readonly<Ref<boolean>>;
  reload(): Promise<void>;
}

interface Options {
  /** Milliseconds after which it is loaded again, while the page is seen. */
  every?: number;
  /** It is loaded anew, and what was there is forgotten, when these change. */
  on?: WatchSource[];
}

/** Loads what a page shows: at once, again as asked for, and never two at a time with the older one winning. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, { every, on }: Options = {}): Loaded<T> {
  const data = shallowRef<T>();
  const error = shallowRef<unknown>();
  const isLoading = ref(false);
  let current: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function reload(): Promise<void> {
    current?.abort();
    const own = (current = new AbortController());
    clearTimeout(timer);
    isLoading.value = true;
    try {
      const got = await load(own.signal);
      if (current !== own) return;
      data.value = got;
      error.value = undefined;
    } catch (problem) {
      if (current !== own) return;
      error.value = problem;
    }
    isLoading.value = false;
    plan();
  }

  function plan(): void {
    if (every && !document.hidden) timer = setTimeout(() => void reload(), every);
  }

  function onSight(): void {
    clearTimeout(timer);
    if (!document.hidden && every) void reload();
  }

  if (every) document.addEventListener("visibilitychange", onSight);
  if (on) {
    watch(on, () => {
      data.value = undefined;
      void reload();
    });
  }
  onScopeDispose(() => {
    current?.abort();
    current = null;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onSight);
  });
  void reload();
  return { data, error, isLoading, reload };
}
