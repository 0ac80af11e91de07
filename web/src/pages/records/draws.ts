import type { Client } from "@/api/client";
import { csvLineAsIs } from "./csv";
import { LONGEST_MS, rowsOf } from "./streams";

/** A recorded draw, as records.csv has it. */
export interface DrawRecord {
  draw_id: string;
  user_id: string;
  username: string;
  prize_id: string;
  prize_name: string;
  won: string;
  created_at: string;
  odds: string;
  prize_code: string;
  status: string;
}

export interface DrawFilter {
  activity: string;
  /** "": all. */
  outcome: "" | "won" | "missed";
  prize: string;
  /** A username, or a user's number; "": everybody. */
  user: string;
  /** Milliseconds since 1970; null: no bound. */
  since: number | null;
  until: number | null;
}

/** What a reading of the records found, so far. */
export interface Found {
  read: number;
  matched: number;
  won: number;
  users: number;
  /** By the hour's beginning, milliseconds since 1970. */
  hours: Map<number, { draws: number; wins: number }>;
  prizes: Map<string, { name: string; wins: number }>;
  /** The newest that match, newest first. */
  newest: DrawRecord[];
}

const KEPT = 2_000;
const HOUR_MS = 3_600_000;

export function isMatch(draw: DrawRecord, filter: DrawFilter): boolean {
  const isWon = draw.won === "true";
  if (filter.outcome && isWon !== (filter.outcome === "won")) return false;
  if (filter.prize && draw.prize_id !== filter.prize) return false;
  const user = filter.user.trim().toLowerCase();
  if (user && draw.user_id !== user && draw.username.toLowerCase() !== user) return false;
  const at = filter.since === null && filter.until === null ? 0 : Date.parse(draw.created_at);
  return (filter.since === null || at >= filter.since) && (filter.until === null || at < filter.until);
}

/** Counts draws as they come. Memory is bounded: of the rows, the newest alone are kept. */
export class Tally {
  private readonly users = new Set<string>();
  private readonly found: Omit<Found, "users" | "newest"> = { read: 0, matched: 0, won: 0, hours: new Map(), prizes: new Map() };
  private kept: DrawRecord[] = [];

  constructor(private readonly filter: DrawFilter) {}

  add(draw: DrawRecord): void {
    this.found.read += 1;
    if (!isMatch(draw, this.filter)) return;
    this.found.matched += 1;
    this.users.add(draw.user_id);
    this.count(draw);
    this.kept.push(draw);
    if (this.kept.length > 2 * KEPT) this.kept = this.kept.slice(-KEPT);
  }

  private count({ created_at, won, prize_id, prize_name }: DrawRecord): void {
    const hour = Math.floor(Date.parse(created_at) / HOUR_MS) * HOUR_MS;
    const counted = this.found.hours.get(hour) ?? { draws: 0, wins: 0 };
    this.found.hours.set(hour, counted);
    counted.draws += 1;
    if (won !== "true") return;
    counted.wins += 1;
    this.found.won += 1;
    const prize = this.found.prizes.get(prize_id) ?? { name: prize_name, wins: 0 };
    this.found.prizes.set(prize_id, prize);
    prize.wins += 1;
  }

  get now(): Found {
    const newest = this.kept.slice(-KEPT).reverse();
    return { ...this.found, hours: new Map(this.found.hours), prizes: new Map(this.found.prizes), users: this.users.size, newest };
  }
}

/** Every hour from the first to the last with a draw, those without one as well, for a chart; of too many, the last ones. */
export function hourly(hours: Found["hours"], most = 24 * 60): { at: number[]; draws: number[]; wins: number[] } {
  const known = [...hours.keys()];
  if (!known.length) return { at: [], draws: [], wins: [] };
  const last = known.reduce((a, b) => Math.max(a, b));
  const first = Math.max(known.reduce((a, b) => Math.min(a, b)), last - (most - 1) * HOUR_MS);
  // One hour on either side, so that a single one is seen as well.
  const at = Array.from({ length: (last - first) / HOUR_MS + 3 }, (_, place) => first + (place - 1) * HOUR_MS);
  return { at, draws: at.map((hour) => hours.get(hour)?.draws ?? 0), wins: at.map((hour) => hours.get(hour)?.wins ?? 0) };
}

function ask(client: Client, filter: DrawFilter, signal?: AbortSignal): Promise<Response> {
  const query = { activity_id: filter.activity, format: "plain", ...(filter.outcome === "won" || filter.prize ? { won_only: true } : {}) };
  return client.raw("GET", "/admin/api/records.csv", { query, timeout: LONGEST_MS, ...(signal ? { signal } : {}) });
}

function recordOf(columns: readonly string[], row: readonly string[]): DrawRecord {
  return Object.fromEntries(columns.map((name, place) => [name, row[place] ?? ""])) as unknown as DrawRecord;
}

const SHOWN_EVERY_MS = 250;

/** Reads an activity's records, oldest first as they come, and tells what was found meanwhile. */
export async function scan(client: Client, filter: DrawFilter, told: (found: Found) => void, signal: AbortSignal): Promise<void> {
  const answer = await ask(client, filter, signal);
  const tally = new Tally(filter);
  let columns: string[] | null = null;
  let last = performance.now();
  for await (const rows of rowsOf(answer, signal)) {
    for (const row of rows) {
      if (columns) tally.add(recordOf(columns, row));
      else columns = row;
    }
    if (performance.now() - last > SHOWN_EVERY_MS) {
      told(tally.now);
      last = performance.now();
    }
  }
  told(tally.now);
}

/** The records that match, as CSV, line by line. */
export async function* matchingLines(client: Client, filter: DrawFilter, signal: AbortSignal): AsyncGenerator<string> {
  const answer = await ask(client, filter, signal);
  let columns: string[] | null = null;
  for await (const rows of rowsOf(answer, signal)) {
    let lines = "";
    for (const row of rows) {
      if (columns && !isMatch(recordOf(columns, row), filter)) continue;
      columns ??= row;
      lines += csvLineAsIs(row);
    }
    if (lines) yield lines;
  }
}
