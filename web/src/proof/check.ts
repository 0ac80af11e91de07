/** A whole ledger file, checked against its header, its seed and the receipts that somebody kept. */
import { Discrepancy, type Finding } from "./findings";
import { bytesOf } from "./hashes";
import { readLedger, type Source } from "./ledger-file";
import type { Header } from "./records";
import { Replay, type Sight, type Totals } from "./replay";

/** How far it is. */
export interface Progress {
  /** Newest draw replayed, of `seq`. */
  at: number;
  seq: number;
  /** Part of the file that was read, 0…1. */
  read: number;
}

/** What a ledger is checked with. */
export interface With {
  /** null: it is not revealed, and nothing can be replayed. */
  seed: string | null;
  /** Links that somebody kept. */
  receipts?: readonly string[];
  /** Draws that are to be shown in all their parts. */
  watched?: readonly number[];
}

export interface Asked {
  /** Told whose ledger it is, gives what to check it with. */
  prepare(header: Header): Promise<With> | With;
  progress?(progress: Progress): void;
}

/** What came of it. Where there is no seed nothing was replayed. */
export interface Checked {
  header: Header;
  is_revealed: boolean;
  /** The first draw that does not follow, and why; null: all follow. */
  fault: { seq: number; finding: Finding } | null;
  totals: Totals | null;
  newest_link: string;
  /** Of the receipts, those that are links of this ledger. */
  kept: string[];
  sights: Sight[];
}

class Sealed extends Error {}

/** Checks `file`; UnfitFile where it is no ledger file. */
export async function checkLedger(file: Source, asked: Asked): Promise<Checked> {
  let receipts = new Set<string>();
  const kept = new Set<string>();
  let header: Header | null = null;
  let replay: Replay | null = null;
  let fault: Checked["fault"] = null;
  let isRevealed = true;
  try {
    await readLedger(file, {
      async header(read) {
        header = read;
        const given = await asked.prepare(read);
        if (given.seed === null) throw new Sealed();
        receipts = new Set(given.receipts);
        replay = new Replay(read.pool_id, bytesOf(given.seed), read.seed_commitment, new Set(given.watched));
      },
      record(record) {
        const now = replay as unknown as Replay;
        now.feed(record);
        if (receipts.has(now.newestLink)) kept.add(now.newestLink);
      },
      taken(bytes) {
        if (header) asked.progress?.({ at: replay?.seq ?? 0, seq: header.seq, read: bytes / file.size });
      },
    });
    fault = endOf(header as unknown as Header, replay as unknown as Replay);
  } catch (error) {
    if (error instanceof Sealed) isRevealed = false;
    else if (error instanceof Discrepancy) fault = { seq: error.seq, finding: error.finding };
    else throw error;
  }
  const done = replay as Replay | null;
  return {
    header: header as unknown as Header,
    is_revealed: isRevealed,
    fault,
    totals: done && done.totals,
    newest_link: done?.newestLink ?? "",
    kept: [...kept],
    sights: done?.sights.filter((one) => one.link) ?? [], // of an entry that did not follow there is none
  };
}

/** What is wrong with the ledger's end. */
function endOf({ seq, version }: Header, replay: Replay): Checked["fault"] {
  if (replay.seq < seq) return { seq: replay.seq + 1, finding: { kind: "ends_early" } };
  if (replay.seq > seq) return { seq: seq + 1, finding: { kind: "goes_on", end: seq } };
  if (replay.version === version) return null;
  return { seq: seq + 1, finding: { kind: "ends_at_version", version: replay.version, expected: version } };
}
