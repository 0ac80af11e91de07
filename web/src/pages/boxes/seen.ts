import { onBeforeUnmount, onMounted, ref, type Ref } from "vue";

/** Whether an element has come near the window yet. */
export function useSeen(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<boolean>> {
  const isSeen = ref(false);
  let watcher: IntersectionObserver | undefined;

  onMounted(() => {
    if (!element.value) return;
    watcher = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        isSeen.value = true;
        watcher?.disconnect();
      },
      { rootMargin: "200px" },
    );
    watcher.observe(element.value);
  });
  onBeforeUnmount(() => watcher?.disconnect());
  return isSeen;
}
