import { onScopeDispose, ref, shallowRef } from "vue";
import { anybody } from "@/api/client";
import { listen } from "@/api/events";
import type { components } from "@/api/schema";

export type Winner = components["schemas"]["history.Winner"];

const MOST = 20;

/** `known` with `came` among them: newest first, each draw once. */
export function merged(known: readonly Winner[], came: readonly Winner[], most = MOST): Winner[] {
  const all = new Map([...came, ...known].map((one) => [one.draw_id, one]));
  return [...all.values()].sort((a, b) => Date.parse(b.won_at) - Date.parse(a.won_at)).slice(0, most);
}

/** The latest winners, of one activity or of all, as they win. */
export function useWinners(activityId?: string) {
  const winners = shallowRef<Winner[]>([]);
  const isLive = ref(false);
  const isLoaded = ref(false);
  const abort = new AbortController();
  const query = activityId ? { activity_id: activityId } : {};

  async function load(): Promise<void> {
    try {
      const asked = { query: { ...query, page: 1, page_size: MOST }, signal: abort.signal };
      const { winners: latest } = await anybody.get("/api/lottery/global-history", asked as never);
      winners.value = merged(winners.value, latest);
      isLoaded.value = true;
    } catch {
      // The stream's next opening loads them again.
    }
  }

  const stop = listen("/api/lottery/global-history/stream", query, {
    event: (winner) => (winners.value = merged(winners.value, [winner as Winner])),
    missed: () => void load(),
    live: (now) => {
      isLive.value = now;
      if (now) void load(); // what was won before the stream was open
    },
  });
  void load();
  onScopeDispose(() => {
    abort.abort();
    stop();
  });
  return { winners, isLive, isLoaded };
}
