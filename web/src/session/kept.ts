import { customRef, type Ref } from "vue";

/** Local storage, where the browser gives it: in private windows and with strict settings it may throw. */
export const kept = {
  get(key: string): string | null {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key: string, value: string | null): void {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // The page works on; it remembers nothing.
    }
  },
};

/** A value that outlives the page, as JSON; every tab sees the change of another. */
export function keptRef<T>(key: string, initial: T): Ref<T> {
  return customRef<T>((track, trigger) => {
    let value = parsed(kept.get(key), initial);
    window.addEventListener("storage", (event) => {
      if (event.key !== key) return;
      value = parsed(event.newValue, initial);
      trigger();
    });
    return {
      get() {
        track();
        return value;
      },
      set(changed) {
        value = changed;
        kept.set(key, changed === null ? null : JSON.stringify(changed));
        trigger();
      },
    };
  });
}

function parsed<T>(text: string | null, initial: T): T {
  try {
    return text === null ? initial : (JSON.parse(text) as T);
  } catch {
    return initial;
  }
}
