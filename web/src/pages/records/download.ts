import { computed, onScopeDispose, ref, shallowRef } from "vue";
import { newFile, type Sink } from "./files";

/** One download at a time: how far it is, how it ended, and a way to stop it. */
export function useDownload() {
  const name = ref("");
  const progress = ref(0);
  const state = ref<"none" | "running" | "done" | "stopped" | "failed">("none");
  const problem = shallowRef<unknown>();
  let own: AbortController | null = null;

  const isRunning = computed(() => state.value === "running");

  async function download(file: string, write: (sink: Sink, told: (amount: number) => void, signal: AbortSignal) => Promise<void>): Promise<void> {
    if (isRunning.value) return;
    const sink = await newFile(file);
    if (!sink) return;
    const run = (own = new AbortController());
    name.value = file;
    progress.value = 0;
    problem.value = undefined;
    state.value = "running";
    try {
      await write(sink, (amount) => (progress.value = amount), run.signal);
      state.value = "done";
    } catch (error) {
      state.value = run.signal.aborted ? "stopped" : "failed";
      if (!run.signal.aborted) problem.value = error;
    }
  }

  const stop = () => own?.abort(new DOMException("stopped", "AbortError"));
  onScopeDispose(stop);
  return { name, progress, state, isRunning, problem, download, stop };
}

export type Download = ReturnType<typeof useDownload>;

/** A file's name that says when it was made, in order when sorted. */
export function dated(name: string): string {
  return `${name}-${new Date().toISOString().slice(0, 16).replace(/[-:]/g, "")}.csv`;
}
