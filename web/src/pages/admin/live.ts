import { computed, shallowRef, watch, type WatchSource } from "vue";
import type { Client } from "@/api/client";
import { clock } from "@/api/clock";
import { useLoaded } from "@/compose/loaded";
import type { ActivityStatistics, Statistics } from "./activities";

const EVERY_MS = 2_000;
const KEPT = 240;

/** How an activity was going at a moment. */
export interface Sample {
  /** Milliseconds since 1970, by the server. */
  at: number;
  draws: number;
  wins: number;
  lagMs: number;
  /** Units left by prize. */
  left: Readonly<Record<string, number>>;
}

function sampleOf(statistics: Statistics, at: number): Sample | null {
  const one = statistics.activities[0];
  if (!one) return null;
  const left = Object.fromEntries(one.prizes.map((prize) => [prize.prize_id, prize.remaining]));
  return { at, draws: one.draws, wins: one.wins, lagMs: statistics.recorder_lag_ms, left };
}

/** Draws a second between each sample and the one before; of the first, nothing is known. */
export function ratesOf(samples: readonly Sample[]): (number | null)[] {
  return samples.map((one, i) => {
    const before = samples[i - 1];
    return before && one.at > before.at ? Math.max(0, (1000 * (one.draws - before.draws)) / (one.at - before.at)) : null;
  });
}

/** The statistics of an activity, and their course while the page is open. */
export function useLive(client: Client, id: () => string, on: WatchSource[]) {
  const samples = shallowRef<Sample[]>([]);
  const { data, error, reload } = useLoaded(
    (signal) => client.get("/admin/api/statistics", { query: { activity_id: id() } as never, signal }),
    { every: EVERY_MS, on: [id] },
  );
  const now = computed<ActivityStatistics | undefined>(() => data.value?.activities[0]);

  watch(data, (statistics) => {
    const sample = statistics && sampleOf(statistics, clock.now());
    if (sample) samples.value = [...samples.value.slice(1 - KEPT), sample];
  });
  watch(id, () => (samples.value = []));
  watch(on, () => void reload());
  return { statistics: data, now, samples, error, reload };
}
