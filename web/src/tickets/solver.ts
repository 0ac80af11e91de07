type Word = { attempts: number } | { solution: string };

/** The chance, 0…1, that a puzzle is solved by so many attempts: how far a bar of progress honestly is. */
export function chanceOfSolved(attempts: number, difficulty: number): number {
  return 1 - Math.exp(-attempts / 2 ** difficulty);
}

/**
 * Solves a ticket's puzzle off the page's own thread.
 *
 * `told` hears the chance that it would be solved by now. Rejects with the signal's reason where that comes first.
 */
export function solvePuzzle(
  ticket: string,
  difficulty: number,
  told: (chance: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  if (difficulty <= 0) return Promise.resolve("");
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./puzzle.worker.ts", import.meta.url), { type: "module" });
    const end = () => {
      worker.terminate();
      signal?.removeEventListener("abort", abandon);
    };
    const abandon = () => {
      end();
      reject(signal?.reason);
    };
    worker.onmessage = ({ data }: MessageEvent<Word>) => {
      if ("attempts" in data) return told(chanceOfSolved(data.attempts, difficulty));
      end();
      resolve(data.solution);
    };
    worker.onerror = (event) => {
      end();
      reject(new Error(event.message || "The worker that solves puzzles did not start"));
    };
    signal?.addEventListener("abort", abandon);
    if (signal?.aborted) return abandon();
    worker.postMessage({ ticket, difficulty });
  });
}
