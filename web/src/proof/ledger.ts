import type { With } from "./check";
import type { Order, Word } from "./ledger.worker";

/** A check that runs in a worker of its own: `stop` ends it at once, whatever it is at. */
export interface Running {
  /** Called once, when the header is known: the check goes on with that. */
  give(given: With): void;
  stop(): void;
}

/** Starts to check `file` off the page's own thread; `hear` is told how it goes on. */
export function startCheck(file: File, hear: (word: Word) => void): Running {
  const worker = new Worker(new URL("./ledger.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<Word>) => {
    if (data.kind !== "header" && data.kind !== "progress") worker.terminate();
    hear(data);
  };
  worker.onerror = (event) => {
    worker.terminate();
    hear({ kind: "broken", why: event.message || "the worker did not start" });
  };
  const say = (order: Order) => worker.postMessage(order);
  say(file);
  return { give: say, stop: () => worker.terminate() };
}
