import type { Client } from "@/api/client";
import type { components } from "@/api/schema";

export type Entry = components["schemas"]["admin.AuditEntry"];

export interface AuditFilter {
  /** Part of the name of who did it. */
  who: string;
  /** What was changed: the action's first part, such as "prize"; "": everything. */
  kind: string;
  /** "goods:7", or its beginning. */
  subject: string;
  since: number | null;
  until: number | null;
}

/** The first parts of all actions. */
export const KINDS = ["activity", "prize", "goods", "shang", "item", "boxes", "box", "cards", "block", "prize_code", "draw", "approval", "user"] as const;

export function isMatch(entry: Entry, { who, kind, subject, since, until }: AuditFilter): boolean {
  const at = Date.parse(entry.created_at);
  return (
    entry.username.toLowerCase().includes(who.trim().toLowerCase()) &&
    (!kind || entry.action.split(".")[0] === kind) &&
    entry.subject.startsWith(subject.trim()) &&
    (since === null || at >= since) &&
    (until === null || at < until)
  );
}

/** A value that was changed, or set. */
export interface Change {
  field: string;
  /** undefined: it says what is so, and not what it was. */
  before: unknown;
  after: unknown;
}

/** What an entry says, value by value: the changes first. */
export function changesOf({ detail }: Entry): Change[] {
  let told: unknown;
  try {
    told = JSON.parse(detail);
  } catch {
    return [];
  }
  if (typeof told !== "object" || told === null) return [];
  const all = Object.entries(told).map(([field, value]): Change => {
    const isChange = typeof value === "object" && value !== null && "from" in value && "to" in value;
    return isChange ? { field, before: value.from, after: value.to } : { field, before: undefined, after: value };
  });
  return all.sort((a, b) => Number(a.before === undefined) - Number(b.before === undefined));
}

export interface Reading {
  /** The page that is read next; null: there is none. */
  next: number | null;
  looked: number;
  found: Entry[];
  /** When the oldest entry that was looked at was written. */
  back: string;
}

export const BEGINNING: Reading = { next: 1, looked: 0, found: [], back: "" };
const PAGE = 100;
const PAGES_AT_ONCE = 10;

/** Reads on, newest first, until there are some more that match, or a while was looked at, or all. */
export async function readOn(client: Client, filter: AuditFilter, from: Reading, some: number, signal?: AbortSignal): Promise<Reading> {
  let { next, looked, back } = from;
  const found = [...from.found];
  const known = new Set(found.map((one) => one.audit_id));
  for (let turn = 0; turn < PAGES_AT_ONCE && next !== null && found.length < from.found.length + some; turn++) {
    const query = { page: next, page_size: PAGE };
    const got = await client.get("/admin/api/audit-log", { query, ...(signal ? { signal } : {}) });
    const fresh = got.entries.filter((one) => !known.has(one.audit_id)); // what is new moved the others on
    for (const one of fresh) known.add(one.audit_id);
    found.push(...fresh.filter((one) => isMatch(one, filter)));
    looked += fresh.length;
    back = got.entries.at(-1)?.created_at ?? back;
    const isBefore = filter.since !== null && back !== "" && Date.parse(back) < filter.since;
    next = got.has_more && !isBefore ? next + 1 : null;
  }
  return { next, looked, found, back };
}
