import { describe, expect, test, vi } from "vitest";
import { effectScope } from "vue";
import type { Client } from "@/api/client";
import { usePages } from "@/compose/pages";
import { changesOf, BEGINNING, isMatch as isAudited, readOn, type AuditFilter, type Entry } from "@/pages/records/audit";
import { CsvReader, csvLine, csvLineAsIs } from "@/pages/records/csv";
import { hourly, matchingLines, scan, type DrawFilter, type Found } from "@/pages/records/draws";
import { writeAnswer, type Sink } from "@/pages/records/files";
import { BrokenOff } from "@/pages/records/streams";

const COLUMNS = "draw_id,activity_id,user_id,username,prize_id,prize_name,won,request_id,created_at,odds,prize_code,email,status\r\n";
const ALL: DrawFilter = { activity: "4", outcome: "", prize: "", user: "", since: null, until: null };

const win = (seq: number, hour: number) => `9-${seq},4,${seq % 3},user${seq % 3},7,"Lamp, ""red""",true,r${seq},2027-01-01T${String(hour).padStart(2, "0")}:30:00Z,0.5,AB${seq},,open\r\n`;
const miss = (seq: number, hour: number) => `9-${seq},4,${seq % 3},user${seq % 3},,,false,r${seq},2027-01-01T${String(hour).padStart(2, "0")}:31:00Z,0.5,,,\r\n`;

/** A client whose export is the text, in pieces of some bytes; `broken`: the connection is cut behind it. */
function exporting(text: string, size = 7, broken = false): Client {
  return { raw: async () => streamed(text, size, broken) } as unknown as Client;
}

function streamed(text: string, size: number, broken: boolean): Response {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += size)));
      else if (broken) controller.error(new TypeError("network error"));
      else controller.close();
    },
  });
  return new Response(body);
}

class Memory implements Sink {
  text = "";
  state = "open";
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  async write(piece: Uint8Array<ArrayBuffer>) {
    this.text += this.decoder.decode(piece, { stream: true });
  }
  async close() {
    this.state = "closed";
  }
  async abort() {
    this.state = "aborted";
  }
}

async function scanned(text: string, filter: Partial<DrawFilter> = {}, size?: number): Promise<Found> {
  let last: Found | null = null;
  await scan(exporting(text, size), { ...ALL, ...filter }, (found) => (last = found), new AbortController().signal);
  return last as unknown as Found;
}

describe("CSV", () => {
  const text = '\ufeffa,b\r\n"x, ""y""","two\r\nlines"\r\n,赏\r\nlast,one';
  const rows = [["a", "b"], ['x, "y"', "two\r\nlines"], ["", "赏"], ["last", "one"]];

  test.each([1, 2, 3, 5, 1000])("is read in pieces of %i signs", (size) => {
    const reader = new CsvReader();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...reader.push(text.slice(at, at + size)));
    expect([...found, ...reader.end()]).toEqual(rows);
  });

  test("is written so that it reads the same, and no cell is a formula", () => {
    const reader = new CsvReader();
    expect(reader.push(rows.map(csvLineAsIs).join(""))).toEqual(rows);
    expect(csvLine(["=1+1", -1, "a"])).toBe("'=1+1,-1,a\r\n");
  });
});

describe("an activity's records", () => {
  const text = COLUMNS + win(1, 1) + miss(2, 1) + win(3, 4) + miss(4, 4) + miss(5, 4);

  test("are counted by hour, prize and user, newest first", async () => {
    const found = await scanned(text);
    expect([found.read, found.matched, found.won, found.users]).toEqual([5, 5, 2, 3]);
    expect(found.newest.map((one) => one.draw_id)).toEqual(["9-5", "9-4", "9-3", "9-2", "9-1"]);
    expect([...found.prizes.values()]).toEqual([{ name: 'Lamp, "red"', wins: 2 }]);
    const { at, draws, wins } = hourly(found.hours);
    expect(at[1]).toBe(Date.parse("2027-01-01T01:00:00Z"));
    expect([draws, wins]).toEqual([[0, 2, 0, 0, 3, 0], [0, 1, 0, 0, 1, 0]]);
  });

  test.each<[Partial<DrawFilter>, string[]]>([
    [{ outcome: "missed" }, ["9-5", "9-4", "9-2"]],
    [{ user: "USER1" }, ["9-4", "9-1"]],
    [{ user: "2" }, ["9-5", "9-2"]],
    [{ prize: "7" }, ["9-3", "9-1"]],
    [{ since: Date.parse("2027-01-01T01:31:00Z"), until: Date.parse("2027-01-01T04:31:00Z") }, ["9-3", "9-2"]],
  ])("that fit %j are found, and are what is downloaded", async (filter, ids) => {
    expect((await scanned(text, filter)).newest.map((one) => one.draw_id)).toEqual(ids);
    let lines = "";
    for await (const some of matchingLines(exporting(text), { ...ALL, ...filter }, new AbortController().signal)) lines += some;
    const [columns, ...rows] = lines.trimEnd().split("\r\n");
    expect(`${columns}\r\n`).toBe(COLUMNS);
    expect(rows.map((one) => one.split(",")[0]).reverse()).toEqual(ids);
  });

  test("are counted all, and kept in bounded number", async () => {
    const many = Array.from({ length: 9000 }, (_, place) => miss(place + 1, 3)).join("");
    const found = await scanned(COLUMNS + many, {}, 100_000);
    expect([found.matched, found.newest.length, found.newest[0]?.draw_id]).toEqual([9000, 2000, "9-9000"]);
  });

  test.each([
    ["the server says so", exporting(`${COLUMNS}${win(1, 1)}INCOMPLETE: the export failed here; repeat it\r\n`)],
    ["the connection is cut", exporting(COLUMNS + win(1, 1), 7, true)],
  ])("that break off are told apart from all of them: %s", async (_, client) => {
    const signal = new AbortController().signal;
    await expect(scan(client, ALL, () => undefined, signal)).rejects.toBeInstanceOf(BrokenOff);
  });
});

describe("a download", () => {
  test("is the answer, byte by byte", async () => {
    const file = new Memory();
    let told = 0;
    await writeAnswer(streamed(`\ufeff${COLUMNS}赏\r\n`, 5, false), file, (bytes) => (told = bytes));
    expect([file.text, file.state]).toEqual([`\ufeff${COLUMNS}赏\r\n`, "closed"]);
    expect(told).toBe(new TextEncoder().encode(file.text).length);
  });

  test("that is refused leaves no file that is still written", async () => {
    const file = new Memory();
    await expect(writeAnswer(Promise.reject(new Error("no")), file, () => undefined)).rejects.toThrow("no");
    expect(file.state).toBe("aborted");
  });

  test.each([
    ["the server says so", streamed(`${COLUMNS}INCOMPLETE: the export failed here; repeat it\r\n`, 5, false)],
    ["the connection is cut", streamed(COLUMNS, 5, true)],
  ])("that breaks off leaves no file that looks like all of it: %s", async (_, answer) => {
    const file = new Memory();
    await expect(writeAnswer(answer, file, () => undefined)).rejects.toBeInstanceOf(BrokenOff);
    expect(file.state).toBe("aborted");
  });
});

describe("a list in pages", () => {
  const inScope = <T>(make: () => T): T => effectScope().run(make) as T;

  test("shows nothing twice, and leaves no page out where more is asked for twice at once", async () => {
    const asked: number[] = [];
    const list = inScope(() =>
      usePages(async (page) => {
        asked.push(page);
        return { rows: [`${page}a`, `${page}b`, `${page + 1}a`], has_more: page < 3 };
      }, (one) => one),
    );
    await vi.waitFor(() => expect(list.rows.value).toEqual(["1a", "1b", "2a"]));
    await Promise.all([list.readOn(), list.readOn()]);
    await list.readOn();
    expect([asked, list.hasMore.value]).toEqual([[1, 2, 3], false]);
    expect(list.rows.value).toEqual(["1a", "1b", "2a", "2b", "3a", "3b", "4a"]);
  });

  test("says that its next page did not come, and gives that one when asked again", async () => {
    let isCut = true;
    const list = inScope(() =>
      usePages(async (page) => {
        if (page === 2 && isCut) throw new Error("cut");
        return { rows: [String(page)], has_more: page < 2 };
      }, (one) => one),
    );
    await vi.waitFor(() => expect(list.rows.value).toEqual(["1"]));
    await list.readOn();
    expect([list.moreError.value, list.hasMore.value]).toEqual([new Error("cut"), true]);
    isCut = false;
    await list.readOn();
    expect([list.moreError.value, list.rows.value]).toEqual([undefined, ["1", "2"]]);
  });
});

describe("the audit log", () => {
  const entry = (id: number, more: Partial<Entry> = {}): Entry => {
    const created_at = new Date(Date.parse("2027-01-01T00:00:00Z") + id * 60_000).toISOString();
    return { audit_id: String(id), username: "ann", action: "goods.update", subject: "goods:7", detail: "{}", created_at, ...more };
  };
  const NONE: AuditFilter = { who: "", kind: "", subject: "", since: null, until: null };

  /** A log that grows by one entry with each page that is read. */
  function growing(count: number): Client {
    let newest = count;
    return {
      get: async (_: string, { query }: { query: { page: number; page_size: number } }) => {
        const all = Array.from({ length: newest }, (_unused, place) => entry(newest - place));
        newest += 1;
        const from = (query.page - 1) * query.page_size;
        return { entries: all.slice(from, from + query.page_size), has_more: all.length > from + query.page_size };
      },
    } as unknown as Client;
  }

  test("says what changed from what to what, changes first", () => {
    const detail = JSON.stringify({ goods_id: 7, title: { from: "A", to: null } });
    expect(changesOf(entry(1, { detail }))).toEqual([
      { field: "title", before: "A", after: null },
      { field: "goods_id", before: undefined, after: 7 },
    ]);
    expect(changesOf(entry(1, { detail: "no JSON" }))).toEqual([]);
  });

  test.each<[Partial<AuditFilter>, boolean]>([
    [{ who: "AN" }, true],
    [{ who: "bob" }, false],
    [{ kind: "goods" }, true],
    [{ kind: "good" }, false],
    [{ subject: "goods:" }, true],
    [{ subject: "item:" }, false],
    [{ until: Date.parse("2027-01-01T00:01:00Z") }, false],
  ])("is filtered by %j", (filter, expected) => {
    expect(isAudited(entry(1), { ...NONE, ...filter })).toBe(expected);
  });

  test("is read to its end, nothing twice and nothing left out, while it grows", async () => {
    const client = growing(350);
    let reading = BEGINNING;
    while (reading.next !== null) reading = await readOn(client, NONE, reading, 50);
    const ids = reading.found.map((one) => Number(one.audit_id));
    expect(new Set(ids).size).toBe(ids.length);
    expect([ids[0], ids.at(-1), ids.length]).toEqual([350, 1, 350]);
  });

  test("is not read further back than what is asked for", async () => {
    const since = Date.parse(entry(320).created_at);
    const reading = await readOn(growing(350), { ...NONE, since }, BEGINNING, 1000);
    expect([reading.next, reading.looked, reading.found.length]).toEqual([null, 100, 31]);
  });
});
