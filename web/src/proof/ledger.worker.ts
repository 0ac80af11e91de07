import { checkLedger, type Checked, type With } from "./check";
import { UnfitFile, type Unfit } from "./findings";
import type { Header } from "./records";
import { ownHashesAgree } from "./web-crypto";

/** What the page says to the worker: first the file; then, when it knows the header, what to check it with. */
export type Order = File | With;

/** What the worker says to the page. */
export type Word =
  | { kind: "header"; header: Header }
  | { kind: "progress"; at: number; seq: number; read: number }
  | { kind: "checked"; checked: Checked; hashes: boolean | null; seconds: number }
  | { kind: "unfit"; unfit: Unfit; line: number; why: string }
  | { kind: "wrong_hashes" }
  | { kind: "broken"; why: string };

const TELL_EVERY_MS = 100;

const say = (word: Word) => postMessage(word);
let prepared: (given: With) => void = () => undefined;

onmessage = ({ data }: MessageEvent<Order>) => {
  if ("seed" in data) prepared(data);
  else void check(data).catch(fail);
};

async function check(file: File): Promise<void> {
  const hashes = await ownHashesAgree();
  if (hashes === false) return say({ kind: "wrong_hashes" });
  let told = 0;
  let begun = performance.now();
  const checked = await checkLedger(file, {
    async prepare(header) {
      const coming = new Promise<With>((resolve) => (prepared = resolve));
      say({ kind: "header", header });
      const given = await coming;
      begun = performance.now();
      return given;
    },
    progress(progress) {
      const now = performance.now();
      if (now - told < TELL_EVERY_MS) return;
      told = now;
      say({ kind: "progress", ...progress });
    },
  });
  say({ kind: "checked", checked, hashes, seconds: (performance.now() - begun) / 1000 });
}

function fail(error: unknown): void {
  if (error instanceof UnfitFile) say({ kind: "unfit", unfit: error.kind, line: error.line, why: error.why });
  else say({ kind: "broken", why: String(error) });
}
