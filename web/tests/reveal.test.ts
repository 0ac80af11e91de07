import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createApp, nextTick, ref, type App } from "vue";
import { useReveal } from "@/draws/reveal";

const told = ref(false);
let app: App;
let reveal: ReturnType<typeof useReveal>;
let seen = 0;

function mounted(isStill: boolean): void {
  vi.stubGlobal("matchMedia", () => ({ matches: isStill }));
  const setup = () => {
    reveal = useReveal(() => told.value, () => (seen += 1));
    return () => null;
  };
  app = createApp({ setup });
  app.mount(document.createElement("div"));
}

beforeEach(() => {
  vi.useFakeTimers();
  told.value = false;
  seen = 0;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a result", () => {
  test("is not shown before the server has told it, whatever is pressed", () => {
    mounted(false);
    window.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    vi.advanceTimersByTime(60_000);
    expect(reveal.isShown.value).toBe(false);
    app.unmount();
    expect(seen).toBe(0); // a reload asks for it again
  });

  test("is shown after some suspense, which Escape skips", async () => {
    mounted(false);
    told.value = true;
    await nextTick();
    vi.advanceTimersByTime(500);
    expect(reveal.isShown.value).toBe(false);
    window.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect(reveal.isShown.value).toBe(true);
    app.unmount();
    expect(seen).toBe(1); // he left the page having seen it
  });

  test("is shown at once where motion is unwanted", async () => {
    mounted(true);
    told.value = true;
    await nextTick();
    vi.advanceTimersByTime(0);
    expect(reveal.isShown.value).toBe(true);
    reveal.done();
    expect([reveal.isShown.value, seen]).toEqual([false, 1]);
    app.unmount();
  });
});
