/** The lines of a ledger file, each held strictly to docs/proof.md. */
import { UnfitFile } from "./findings";

export interface Header {
  pool_id: number;
  /** null: a blind box's. */
  activity_id: number | null;
  seed_commitment: string;
  /** null before the reveal. */
  seed: string | null;
  /** Newest draw. */
  seq: number;
  /** Newest configuration. */
  version: number;
}

export type DrawRecord = [
  user: number,
  request_id: string,
  index: number,
  count: number,
  user_draw_no: number,
  prize: number,
  ticket: number,
  weight: number,
  total: number,
];
export const PARTS = ["user", "request_id", "index", "count", "user_draw_no", "prize", "ticket", "weight", "total"] as const;
export const REQUEST_ID = 1;

export interface EntryRecord {
  kind: "entry";
  first_seq: number;
  drawn_ms: number;
  version: number;
  /** null: it breaks off here. */
  link: string | null;
  draws: DrawRecord[];
}

export interface ConfigRecord {
  kind: "config";
  after_seq: number;
  version: number;
  config: string;
  units: [prize: number, units: number, left: number][];
  changed_ms: number;
  link: string;
}

export interface GapRecord {
  kind: "gap";
  first_seq: number;
  last_seq: number;
}

export type LedgerRecord = EntryRecord | ConfigRecord | GapRecord;

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

const isWhole: Check = Number.isSafeInteger;
const isCount: Check = (value) => isWhole(value) && (value as number) >= 0;
const isHex64: Check = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isLink: Check = (value) => typeof value === "string" && /^[0-9a-f]{40}$/.test(value);
const isRequestId: Check = (value) => typeof value === "string" && /^[ -~]{1,255}$/.test(value);
const orNull = (check: Check): Check => (value) => value === null || check(value);
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);

const isDraw: Check = (value) => {
  if (!Array.isArray(value) || value.length !== PARTS.length) return false;
  for (let part = 0; part < PARTS.length; part++) {
    if (part === REQUEST_ID ? !isRequestId(value[part]) : !isWhole(value[part])) return false;
  }
  return (value[0] as number) >= 0;
};
const isStock: Check = (value) => Array.isArray(value) && value.length === 3 && value.every(isWhole);

const HEADER: Shape = {
  kind: (value) => value === "pool",
  format: (value) => value === 1,
  pool_id: isCount,
  activity_id: orNull(isCount),
  seed_commitment: isHex64,
  seed: orNull(isHex64),
  seq: isCount,
  version: isCount,
};
const RECORDS: Readonly<Record<string, Shape>> = {
  config: {
    kind: () => true,
    after_seq: isCount,
    version: isCount,
    config: (value) => typeof value === "string",
    units: listOf(isStock),
    changed_ms: isCount,
    link: isLink,
  },
  gap: { kind: () => true, first_seq: isCount, last_seq: isCount },
  entry: {
    kind: () => true,
    first_seq: isCount,
    drawn_ms: isCount,
    version: isCount,
    link: orNull(isLink),
    draws: listOf(isDraw),
  },
};

/** The first line. */
export function headerOf(line: string): Header {
  const fields = objectOf(line, 1, "no_ledger");
  const fault = faultOf(fields, HEADER);
  if (fault) throw new UnfitFile("no_ledger", 1, fault);
  return fields as unknown as Header;
}

/** Any other line, which is number `at` of the file. */
export function recordOf(line: string, at: number): LedgerRecord {
  const fields = objectOf(line, at, "line");
  const kind = fields["kind"];
  const shape = typeof kind === "string" && Object.hasOwn(RECORDS, kind) ? RECORDS[kind] : undefined;
  const fault = shape ? faultOf(fields, shape) : `its kind is ${told(kind)}`;
  if (fault) throw new UnfitFile("line", at, fault);
  return fields as unknown as LedgerRecord;
}

function objectOf(line: string, at: number, kind: "line" | "no_ledger"): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UnfitFile(kind, at, "it is no JSON");
  }
  if (typeof value !== "object" || value === null) throw new UnfitFile(kind, at, "it is no object");
  return value as Record<string, unknown>;
}

function faultOf(fields: Record<string, unknown>, shape: Shape): string {
  let known = 0;
  for (const name in shape) {
    if (!Object.hasOwn(fields, name)) return `${name} is missing`;
    if (!(shape[name] as Check)(fields[name])) return `${name} is unfit: ${told(fields[name])}`;
    known += 1;
  }
  const names = Object.keys(fields);
  return names.length === known ? "" : `${names.find((name) => !Object.hasOwn(shape, name))} does not belong there`;
}

function told(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 60 ? `${text.slice(0, 60)} …` : text;
}
