/**
 * Replays a ledger, draw by draw, and finds the first that does not follow: what services/pool/rule/replay.py does, and
 * held to the same table, tests/unit/pool/rule/ledger_cases.json.
 */
import { UnfitConfiguration, configurationOf, type Configuration } from "./configuration";
import { Discrepancy, type Difference, type Finding } from "./findings";
import { hexOf, sha1, sha256 } from "./hashes";
import { Packing } from "./packing";
import { Pool, type Answer, type Live, type Outcome } from "./pool";
import { PARTS, type ConfigRecord, type DrawRecord, type EntryRecord, type GapRecord, type LedgerRecord } from "./records";
import { Requests } from "./requests";
import { MOST_AT_ONCE, Roller, rollText } from "./roller";

const OLD_CODE_BYTES = 4;

/** One draw, with all that it followed from: for who wants to see how. */
export interface Sight {
  seq: number;
  record: DrawRecord;
  drawn_ms: number;
  version: number;
  /** It came with the last ticket, and has no roll of its own. */
  is_extra: boolean;
  roll_text: string;
  roll: string;
  mode: Configuration["mode"];
  /** In the order of selection, as it was for this user; `left` before the draw, −1: without end. */
  prizes: { prize_id: number; name: string; left: number; weight: number }[];
  first_seq: number;
  last_seq: number;
  link_before: string;
  link: string;
}

/** What a ledger came to. */
export interface Totals {
  draws: number;
  wins: number;
  users: number;
  configurations: number;
  first_ms: number;
  last_ms: number;
}

export class Replay {
  readonly totals: Totals = { draws: 0, wins: 0, users: 0, configurations: 0, first_ms: 0, last_ms: 0 };
  /** The draws that were asked for, once they were replayed. */
  readonly sights: Sight[] = [];
  private readonly pool = new Pool(new Requests());
  private readonly roller: Roller;
  private readonly packing = new Packing();
  private readonly encoder = new TextEncoder();
  private link = "";

  /** `watched`: the draws that `sights` are wanted of. */
  constructor(
    private readonly poolId: number,
    seed: Uint8Array,
    commitment: string,
    private readonly watched: ReadonlySet<number> = new Set(),
  ) {
    if (hexOf(sha256(seed)) !== commitment) throw new Discrepancy(0, { kind: "seed" });
    this.roller = new Roller(seed, poolId);
  }

  /** Newest draw. */
  get seq(): number {
    return this.pool.seq;
  }

  /** Newest configuration. */
  get version(): number {
    return this.pool.version;
  }

  /** The newest link: what a receipt is compared with. */
  get newestLink(): string {
    return this.link;
  }

  /** Replay the next record, or throw a Discrepancy. */
  feed(record: LedgerRecord): void {
    if (record.kind === "entry") this.feedEntry(record);
    else if (record.kind === "config") this.feedConfig(record);
    else this.feedGap(record);
  }

  private fail(seq: number, finding: Finding): never {
    throw new Discrepancy(seq, finding);
  }

  private feedConfig(record: ConfigRecord): void {
    const { version, after_seq, units, changed_ms } = record;
    const next = this.seq + 1;
    const configuration = this.configurationOf(record);
    if (after_seq !== this.seq) this.fail(next, { kind: "config_place", version, after: after_seq, stands: this.seq });
    const { code, stocks } = this.pool.configure(version, configuration);
    if (code !== "CONFIGURED") this.fail(next, { kind: "config_refused", version, code });
    const sorted = (rows: ConfigRecord["units"]) => JSON.stringify([...rows].sort((a, b) => a[0] - b[0]));
    if (sorted(stocks) !== sorted(units)) this.fail(next, { kind: "config_units", version });
    const packing = this.begin(`${after_seq}-${version}`);
    packing.append(this.encoder.encode(record.config));
    packing.list(units.length);
    for (const stock of units) {
      packing.list(stock.length);
      for (const value of stock) packing.number(value);
    }
    packing.append(this.encoder.encode(String(changed_ms)));
    this.follow(record.link, next);
    this.totals.configurations += 1;
  }

  private configurationOf({ config, version, after_seq }: ConfigRecord): Configuration {
    try {
      return configurationOf(config);
    } catch (error) {
      if (!(error instanceof UnfitConfiguration)) throw error;
      return this.fail(after_seq + 1, { kind: "config_unfit", version, why: error.message });
    }
  }

  private feedGap({ first_seq, last_seq }: GapRecord): void {
    if (first_seq !== this.seq + 1 || last_seq < first_seq) this.fail(this.seq + 1, { kind: "gap_place" });
    this.pool.seq = last_seq;
  }

  private feedEntry(record: EntryRecord): void {
    const { first_seq, version, link, drawn_ms } = record;
    if (first_seq !== this.seq + 1) this.fail(this.seq + 1, { kind: "missing", next: first_seq });
    if (version !== this.version) this.fail(first_seq, { kind: "version", named: version, held: this.version });
    const before = this.link;
    this.redraw(record);
    if (link === null) return this.fail(this.seq + 1, { kind: "torn" });
    this.followEntry(record, link);
    this.see(before, link, first_seq);
    this.totals.draws += record.draws.length;
    this.totals.users = this.pool.users.size;
    this.totals.first_ms ||= drawn_ms;
    this.totals.last_ms = drawn_ms;
  }

  /** Draw again what an entry drew. */
  private redraw(record: EntryRecord): void {
    const { draws, first_seq } = record;
    const starts: number[] = [];
    draws.forEach((draw, at) => {
      if (at > 0 && draw[2] !== 0) return;
      if (draw[3] < 1 || draw[3] > MOST_AT_ONCE) this.fail(first_seq + at, { kind: "count", count: draw[3] });
      starts.push(at);
    });
    starts.forEach((start, place) => this.redrawOne(record, start, starts[place + 1] ?? draws.length));
  }

  /** One request: draws `start` to before `end` of the entry. */
  private redrawOne(record: EntryRecord, start: number, end: number): void {
    const { draws, first_seq, link, drawn_ms } = record;
    const [user, requestId, , count] = draws[start] as DrawRecord;
    const before = this.pool.users.get(user)?.draws ?? 0;
    const rolls = this.roller.rolls(user, requestId, count);
    const isWatched = [...this.watched].some((seq) => first_seq + start <= seq && seq < first_seq + end);
    const answer = isWatched ? this.watchedDraw(record, start, rolls) : this.pool.draw({ user, rolls }, drawn_ms);
    const { outcomes } = answer;
    for (let index = 0; index < outcomes.length; index++) {
      const outcome = outcomes[index] as Outcome;
      const at = start + index;
      if (at < end) {
        const drawNo = before + Math.min(index + 1, count);
        this.compare(draws[at] as DrawRecord, [user, requestId, index, count, drawNo], outcome, first_seq + at);
      }
      if (outcome.prize) this.totals.wins += 1;
    }
    if (outcomes.length === end - start) return;
    // Some are missing only where the entry breaks off; else the number is wrong.
    const at = Math.min(start + outcomes.length, end);
    this.fail(first_seq + (at === end && link !== null ? start : at), refusal(answer, end - start));
  }

  private compare(record: DrawRecord, who: [number, string, number, number, number], won: Outcome, seq: number): void {
    if (
      record[2] === who[2] &&
      record[3] === who[3] &&
      record[4] === who[4] &&
      record[0] === who[0] &&
      record[1] === who[1] &&
      record[5] === won.prize &&
      record[6] === won.ticket &&
      record[7] === won.weight &&
      record[8] === won.total
    ) {
      return;
    }
    const follows = [...who, won.prize, won.ticket, won.weight, won.total];
    const fields: Difference[] = PARTS.flatMap((field, part) => {
      const [mine, theirs] = [record[part] as number | string, follows[part] as number | string];
      return mine === theirs ? [] : [{ field, recorded: mine, follows: theirs }];
    });
    this.fail(seq, { kind: "differs", fields });
  }

  private followEntry(record: EntryRecord, link: string): void {
    const { draws, drawn_ms, version, first_seq } = record;
    const id = `${first_seq + draws.length - 1}-0`;
    this.pack(this.begin(id), drawn_ms, version, draws);
    if (this.linkNow() === link) {
      this.link = link;
      return;
    }
    const codes = draws.map((draw) => this.oldCode(draw));
    this.pack(this.begin(id), drawn_ms, version, draws, codes);
    this.follow(link, first_seq);
  }

  /** What old links cover besides: the end of a roll; of a last prize, what stands before that in the last roll. */
  private oldCode([user, requestId, index, count, , prize]: DrawRecord): Uint8Array {
    if (!prize) return new Uint8Array(0);
    const isExtra = index === count;
    const roll = this.roller.rolls(user, requestId, count)[isExtra ? index - 1 : index] as Uint8Array;
    const end = roll.length - (isExtra ? OLD_CODE_BYTES : 0);
    return roll.slice(end - OLD_CODE_BYTES, end);
  }

  private pack(packing: Packing, drawnMs: number, version: number, draws: DrawRecord[], codes?: Uint8Array[]): void {
    packing.list(3);
    packing.number(drawnMs);
    packing.number(version);
    packing.list(draws.length);
    for (let at = 0; at < draws.length; at++) {
      const draw = draws[at] as DrawRecord;
      packing.list(draw.length + (codes ? 1 : 0));
      packing.number(draw[0]);
      packing.text(draw[1]);
      for (let part = 2; part < draw.length; part++) packing.number(draw[part] as number);
      if (codes) packing.raw(codes[at] as Uint8Array);
    }
  }

  /** What a link is over begins with the link before and an id. */
  private begin(id: string): Packing {
    this.packing.clear().append(this.encoder.encode(this.link + id));
    return this.packing;
  }

  private linkNow(): string {
    return hexOf(sha1(this.packing.packed));
  }

  private follow(link: string, seq: number): void {
    if (this.linkNow() !== link) this.fail(seq, { kind: "link" });
    this.link = link;
  }

  /** The same draw, noted in all its parts where it is one of those that are watched. */
  private watchedDraw(record: EntryRecord, start: number, rolls: Uint8Array[]): Answer {
    const { draws, first_seq, drawn_ms, version } = record;
    const [user, requestId] = draws[start] as DrawRecord;
    const stocks: number[][] = [];
    const weights: (readonly number[])[] = [];
    this.pool.watch = (now) => {
      weights.push([...now]);
      stocks.push(this.pool.live.map(({ left }) => left));
    };
    const { live } = this.pool;
    const answer = this.pool.draw({ user, rolls }, drawn_ms);
    this.pool.watch = null;
    answer.outcomes.forEach((_, index) => {
      const seq = first_seq + start + index;
      const drawn = draws[start + index];
      if (!this.watched.has(seq) || !drawn) return;
      const isExtra = index === rolls.length;
      const place = isExtra ? index - 1 : index;
      this.sights.push({
        seq,
        record: drawn,
        drawn_ms,
        version,
        is_extra: isExtra,
        roll_text: rollText(this.poolId, user, requestId, place),
        roll: hexOf(rolls[place] as Uint8Array),
        mode: (this.pool.configuration as Configuration).mode,
        prizes: prizesOf(live, stocks[place] ?? [], weights[place] ?? []),
        first_seq,
        last_seq: first_seq + draws.length - 1,
        link_before: this.link,
        link: "",
      });
    });
    return answer;
  }

  private see(before: string, link: string, firstSeq: number): void {
    for (const sight of this.sights) {
      if (sight.first_seq === firstSeq && sight.link_before === before) sight.link = link;
    }
  }
}

function prizesOf(live: Live[], stocks: readonly number[], weights: readonly number[]): Sight["prizes"] {
  return live.map(({ prize: { prize_id, name } }, place) => ({
    prize_id,
    name,
    left: stocks[place] as number,
    weight: weights[place] as number,
  }));
}

function refusal({ code, detail, outcomes }: Answer, recorded: number): Finding {
  if (code === "drawn") return { kind: "places", given: outcomes.length, recorded };
  return { kind: "refused", code, detail };
}
