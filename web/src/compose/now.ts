import { onScopeDispose, ref, type Ref } from "vue";
import { clock } from "@/api/clock";

const now = ref(clock.now());
let users = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

function tick(): void {
  now.value = clock.now();
  timer = setTimeout(tick, 1000 - (now.value % 1000) + 5); // at the server's full seconds
}

/** The server's time in milliseconds, anew at each full second while somebody looks. */
export function useNow(): Readonly<Ref<number>> {
  if (users++ === 0) tick();
  onScopeDispose(() => {
    if (--users === 0) clearTimeout(timer);
  });
  return now;
}
