import { computed, onScopeDispose, ref, shallowRef } from "vue";
import { isReason } from "@/api/failures";
import type { Checked } from "@/proof/check";
import type { Unfit } from "@/proof/findings";
import { startCheck, type Running } from "@/proof/ledger";
import type { Word } from "@/proof/ledger.worker";
import type { Header } from "@/proof/records";
import { notedSeal, poolOf, receiptsOf, type NotedSeal, type Receipt } from "@/session/receipts";
import { publishedOf } from "./published";

/** Whether the seal in a file is the one that this site publishes; "unknown": it could not be asked, or knows none. */
export type Seal = "same" | "other" | "unknown";

/** What was found of a file, and what it was held against. */
export interface Report {
  checked: Checked;
  hashes: boolean | null;
  seconds: number;
  site: Seal;
  noted: NotedSeal | null;
  /** Receipts of this browser for draws that the ledger has; `isKept`: whether they are links of it. */
  receipts: (Receipt & { isKept: boolean })[];
}

export type Failure = { kind: Unfit; line: number; why: string } | { kind: "wrong_hashes" | "stopped"; line: 0; why: string };

const seqOf = (drawId: string) => Number(drawId.split("-")[1]);

/** The check of one file at a time, in a worker. */
export function useLedgerCheck() {
  const name = ref("");
  const header = shallowRef<Header>();
  const progress = shallowRef<{ at: number; seq: number; read: number; rate: number }>();
  const report = shallowRef<Report>();
  const failure = shallowRef<Failure>();
  let running: Running | null = null;

  const isRunning = computed(() => name.value !== "" && !report.value && !failure.value);

  function clear(): void {
    running?.stop();
    running = null;
    name.value = "";
    header.value = undefined;
    progress.value = undefined;
    report.value = undefined;
    failure.value = undefined;
  }

  /** Begins to check `file`; the draws `watched`, as "<pool>-<place>", are looked at in all their parts. */
  function check(file: File, watched: readonly string[]): void {
    clear();
    name.value = file.name;
    const facts: Pick<Report, "site" | "noted"> & { receipts: Receipt[] } = { site: "unknown", noted: null, receipts: [] };
    let begun = performance.now();
    const own = (running = startCheck(file, hear));

    function hear(word: Word): void {
      if (running !== own) return;
      if (word.kind === "header") void begin(word.header);
      else if (word.kind === "progress") {
        const seconds = (performance.now() - begun) / 1000;
        progress.value = { ...word, rate: seconds > 0.2 ? word.at / seconds : 0 };
      } else if (word.kind === "checked") report.value = reportOf(word, facts);
      else if (word.kind === "unfit") failure.value = { kind: word.unfit, line: word.line, why: word.why };
      else if (word.kind === "wrong_hashes") failure.value = { kind: "wrong_hashes", line: 0, why: "" };
      else failure.value = { kind: "stopped", line: 0, why: word.why };
    }

    async function begin(read: Header): Promise<void> {
      header.value = read;
      facts.noted = read.activity_id === null ? null : notedSeal(String(read.activity_id));
      facts.receipts = receiptsOf(String(read.pool_id)).filter((one) => seqOf(one.draw_id) <= read.seq);
      const published = read.seq > 0 ? await publishedOf(`${read.pool_id}-${read.seq}`).catch(unknown) : null;
      if (published) facts.site = published.seed_commitment === read.seed_commitment ? "same" : "other";
      begun = performance.now();
      own.give({
        seed: read.seed ?? published?.seed ?? null,
        receipts: facts.receipts.map((one) => one.link),
        watched: watched.filter((one) => poolOf(one) === String(read.pool_id)).map(seqOf),
      });
    }
  }

  onScopeDispose(clear);
  return { name, header, progress, report, failure, isRunning, check, clear };
}

function unknown(error: unknown): null {
  if (!isReason(error, "NOT_FOUND")) console.warn(error);
  return null;
}

function reportOf(
  { checked, hashes, seconds }: Extract<Word, { kind: "checked" }>,
  { site, noted, receipts }: Pick<Report, "site" | "noted"> & { receipts: Receipt[] },
): Report {
  const kept = new Set(checked.kept);
  return { checked, hashes, seconds, site, noted, receipts: receipts.map((one) => ({ ...one, isKept: kept.has(one.link) })) };
}
