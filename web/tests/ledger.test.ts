// @vitest-environment node
import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { checkLedger, type Checked } from "@/proof/check";
import { UnfitFile } from "@/proof/findings";
import { MOST_CHARACTERS, type Source } from "@/proof/ledger-file";
import type { EntryRecord } from "@/proof/records";
import table from "../../tests/unit/pool/rule/ledger_cases.json";

interface Case {
  name: string;
  ledger: string;
  splice?: [from: number, how_many: number, lines: string[]];
  draws?: number;
  seq?: number;
  kind?: string;
  unfit_line?: number;
}

const ledgers = table.ledgers as Record<string, string[]>;
const cases = table.cases as unknown as Case[];

const fileOf = (lines: string[]): Source => new Blob([lines.map((line) => `${line}\n`).join("")]);
const check = (file: Source, watched: number[] = []): Promise<Checked> =>
  checkLedger(file, { prepare: ({ seed }) => ({ seed, watched }) });

function linesOf({ ledger, splice }: Case): string[] {
  const lines = [...(ledgers[ledger] as string[])];
  if (splice) lines.splice(splice[0], splice[1], ...splice[2]);
  return lines;
}

describe("what the table says of a ledger is found: as by kuji verify", () => {
  test.each(cases.filter((one) => one.draws !== undefined))("$name", async (one) => {
    const { fault, totals } = await check(fileOf(linesOf(one)));
    expect(fault).toBeNull();
    expect(totals?.draws).toBe(one.draws);
  });

  test.each(cases.filter((one) => one.kind !== undefined))("$name", async (one) => {
    const { fault } = await check(fileOf(linesOf(one)));
    expect([fault?.seq, fault?.finding.kind]).toEqual([one.seq, one.kind]);
  });

  test.each(cases.filter((one) => one.unfit_line !== undefined))("$name", async (one) => {
    const failed = await check(fileOf(linesOf(one))).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UnfitFile);
    expect((failed as UnfitFile).line).toBe(one.unfit_line);
  });
});

describe("a file", () => {
  const lines = ledgers["odds"] as string[];
  const text = lines.map((line) => `${line}\n`).join("");

  test("may be packed, and its last line may have no end", async () => {
    const plain = await check(fileOf(lines));
    expect(await check(new Blob([gzipSync(text)]))).toEqual(plain);
    expect(await check(new Blob([text.trimEnd()]))).toEqual(plain);
  });

  test("comes in pieces, wherever they are cut", async () => {
    const bytes = new TextEncoder().encode(text);
    const blob = new Blob([bytes]);
    const cut = (size: number): Source => ({
      size: bytes.length,
      slice: (start, end) => blob.slice(start, end),
      stream: () =>
        new ReadableStream({
          start(controller) {
            for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size));
            controller.close();
          },
        }),
    });
    for (const size of [1, 7, 1000]) expect((await check(cut(size))).fault).toBeNull();
  });

  const unfit: [string, BlobPart, string, number][] = [
    ["that is empty", "", "empty", 1],
    ["that is a picture", Uint8Array.of(0x89, 0x50, 0x4e, 0x47), "text", 1],
    ["of another kind", '{"hello":1}\n', "no_ledger", 1],
    ["that is a list", "[]\n", "no_ledger", 1],
    ["with an empty line in the middle", text.replace("\n", "\n\n"), "line", 2],
    ["with a number beyond 2^53", text.replace('"first_seq":1,', '"first_seq":9007199254740993,'), "line", 3],
    ["whose packing ends too early", gzipSync(text).subarray(0, -40), "broken", 0],
    ["whose packing is damaged", gzipSync(text).fill(7, 60, 90), "broken", 0],
    ["with a line without an end", `${lines[0]}\n${"x".repeat(MOST_CHARACTERS + 1)}`, "line_too_long", 2],
  ];
  test.each(unfit)("%s is refused in words", async (_, content, kind, line) => {
    const failed = await check(new Blob([content])).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UnfitFile);
    const { kind: found, line: at } = failed as UnfitFile;
    expect([found, line || at]).toEqual([kind, at]);
  });

  test("without a seed is not replayed", async () => {
    const sealed = await checkLedger(fileOf(lines), { prepare: () => ({ seed: null }) });
    expect([sealed.is_revealed, sealed.totals, sealed.fault]).toEqual([false, null, null]);
  });
});

describe("what else is found", () => {
  const lines = ledgers["odds"] as string[];

  test("receipts that are links of the ledger, and none that are not", async () => {
    const entry = JSON.parse(lines[4] as string) as EntryRecord;
    const receipts = [entry.link as string, "f".repeat(40)];
    const { kept } = await checkLedger(fileOf(lines), { prepare: ({ seed }) => ({ seed, receipts }) });
    expect(kept).toEqual([entry.link]);
  });

  test("a draw in all its parts", async () => {
    const { sights } = await check(fileOf(lines), [11, 36]);
    expect(sights.map((one) => one.seq)).toEqual([11, 36]);
    for (const { record, prizes, link, first_seq, last_seq, seq } of sights) {
      const [, , , , , prize, ticket, weight] = record;
      expect(link).toMatch(/^[0-9a-f]{40}$/);
      expect(first_seq <= seq && seq <= last_seq).toBe(true);
      let from = 0;
      const won = prizes.find((one) => ticket < (from += one.weight));
      expect(won?.prize_id ?? 0).toBe(prize);
      if (won) expect(won.weight).toBe(weight);
    }
  });

  test("a last prize, with the roll of the ticket before it", async () => {
    const all = ledgers["tickets"] as string[];
    const { seq } = JSON.parse(all[0] as string) as { seq: number };
    const { sights, totals } = await check(fileOf(all), [seq]);
    expect(sights.map((one) => [one.is_extra, one.roll_text])).toEqual([[true, "1|3|card:77|0"]]);
    expect(totals?.users).toBe(3);
  });
});

// Made by the engine in Python, by tests/unit/web/test_web_verifier.py.
const made = process.env["KUJI_MADE_LEDGER"] ?? "";
describe.skipIf(!existsSync(made))("a ledger of some thousands of draws", () => {
  const whole = () => readFileSync(made, "utf-8").trimEnd().split("\n");
  const place = 1500;

  async function faultOf(change: (lines: string[]) => void) {
    const lines = whole();
    change(lines);
    return (await check(fileOf(lines))).fault;
  }

  function edited(lines: string[], at: number, edit: (draws: EntryRecord["draws"]) => void): number {
    const entry = JSON.parse(lines[at] as string) as EntryRecord;
    edit(entry.draws);
    lines[at] = JSON.stringify(entry);
    return entry.first_seq;
  }

  test("follows, draw by draw", async () => {
    const { fault, totals, header } = await check(fileOf(whole()));
    expect(fault).toBeNull();
    expect(totals?.draws).toBe(header.seq);
    expect(header.seq).toBeGreaterThan(3000);
  });

  test("shows the one draw whose prize was changed", async () => {
    let first = 0;
    const fault = await faultOf((lines) => {
      first = edited(lines, place, (draws) => draws[0] && (draws[0][5] = draws[0][5] ? 0 : 1));
    });
    expect([fault?.seq, fault?.finding.kind]).toEqual([first, "differs"]);
  });

  test("shows the one draw that was removed", async () => {
    let first = 0;
    const fault = await faultOf((lines) => {
      first = (JSON.parse(lines[place] as string) as EntryRecord).first_seq;
      lines.splice(place, 1);
    });
    expect([fault?.seq, fault?.finding.kind]).toEqual([first, "missing"]);
  });

  test("shows the first of two draws that were swapped", async () => {
    let first = 0;
    const fault = await faultOf((lines) => {
      const other = lines[place + 40] as string;
      first = edited(lines, place, (draws) => {
        const theirs = (JSON.parse(other) as EntryRecord).draws;
        const mine = draws[0] as EntryRecord["draws"][number];
        draws[0] = theirs[0] as EntryRecord["draws"][number];
        edited(lines, place + 40, (later) => void (later[0] = mine));
      });
    });
    expect(fault?.seq).toBe(first);
  });
});

