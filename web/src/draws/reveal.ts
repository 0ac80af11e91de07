import { onBeforeUnmount, onMounted, ref, watch } from "vue";

const SUSPENSE_MS = 1300;

/**
 * Shows what the server has answered: after some suspense, which can be skipped; at once where motion is unwanted.
 *
 * A reload does not count as having seen it: what was told is then told again.
 */
export function useReveal(isTold: () => boolean, seen: () => void) {
  const isShown = ref(false);
  let suspense: ReturnType<typeof setTimeout> | undefined;

  function show(): void {
    clearTimeout(suspense);
    isShown.value = true;
  }

  function done(): void {
    isShown.value = false;
    seen();
  }

  function onKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && isTold()) show();
  }

  watch(isTold, (told) => {
    if (!told) return;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    suspense = setTimeout(show, isStill ? 0 : SUSPENSE_MS);
  });
  onMounted(() => window.addEventListener("keydown", onKey));
  onBeforeUnmount(() => {
    window.removeEventListener("keydown", onKey);
    clearTimeout(suspense);
    if (isShown.value) seen();
  });
  return { isShown, show, done };
}
