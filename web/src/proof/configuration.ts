import { PPB, UNLIMITED, type Mode } from "./selection";

/** A prize of a pool; units −1: without end. */
export interface Prize {
  prize_id: number;
  name: string;
  units: number;
  weight: number;
  enabled: boolean;
  wins_per_user: number;
  retired: boolean;
  last_prize: boolean;
}

export type Status = "OPEN" | "PAUSED" | "ENDED";

/** What decides a pool's draws; 0 means no limit. */
export interface Configuration {
  mode: Mode;
  status: Status;
  start_ms: number;
  end_ms: number;
  protection_ms: number;
  cooldown_ms: number;
  draws_per_user: number;
  draws_per_day: number;
  wins_per_user: number;
  day_offset_ms: number;
  prizes: Prize[];
}

/** A configuration that is none, and why. */
export class UnfitConfiguration extends Error {}

type Fields = Record<string, unknown>;

const MAX_PRIZES = 256;
const MAX_PRIZE_ROWS = 400;
const CONFIG = ["mode", "status", "start_ms", "end_ms", "limits", "prizes", "protection_ms"];
const CONFIG_IDLE = ["activity_id", "confirm", "cause", "goods_revision", "draw_tickets"]; // they decide no outcome
const LIMITS = ["cooldown_ms", "draws_per_user", "draws_per_day", "wins_per_user", "day_offset_minutes"];
const PRIZE = ["prize_id", "units", "weight", "enabled", "wins_per_user", "retired", "last_prize"];
const PRIZE_IDLE = ["name", "image_url", "held_units"];

/**
 * A configuration from its JSON in the ledger, as services/pool/configuration.py takes it. What it does not know it
 * refuses: a rule that was overlooked would prove nothing.
 */
export function configurationOf(text: string): Configuration {
  const fields = objectOf(parsed(text), "the configuration", [...CONFIG, ...CONFIG_IDLE]);
  const limits = objectOf(fields["limits"] ?? {}, "limits", LIMITS);
  const configuration: Configuration = {
    mode: oneOf(fields["mode"], "POOL_MODE_", ["ODDS", "TICKETS", "WEIGHTS"]),
    status: oneOf(fields["status"], "POOL_STATUS_", ["OPEN", "PAUSED", "ENDED"]),
    start_ms: wholeOf(fields, "start_ms"),
    end_ms: wholeOf(fields, "end_ms"),
    protection_ms: wholeOf(fields, "protection_ms"),
    cooldown_ms: wholeOf(limits, "cooldown_ms"),
    draws_per_user: wholeOf(limits, "draws_per_user"),
    draws_per_day: wholeOf(limits, "draws_per_day"),
    wins_per_user: wholeOf(limits, "wins_per_user"),
    day_offset_ms: wholeOf(limits, "day_offset_minutes", -720, 840) * 60_000,
    prizes: prizesOf(fields["prizes"] ?? []),
  };
  check(configuration);
  return configuration;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnfitConfiguration(String(error));
  }
}

function objectOf(value: unknown, what: string, names: string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UnfitConfiguration(`${what} is no object`);
  }
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UnfitConfiguration(`${what} has ${unknown}, which this page does not know`);
  return value as Fields;
}

function oneOf<T extends string>(value: unknown, prefix: string, names: readonly T[]): T {
  const found = names.find((name) => value === prefix + name);
  if (found === undefined) throw new UnfitConfiguration(`${String(value)} is none of ${prefix}${names.join(", ")}`);
  return found;
}

/** 64-bit numbers are texts, and 0 is left out. */
function wholeOf(fields: Fields, name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  const value = fields[name] ?? 0;
  const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < least || number > most) {
    throw new UnfitConfiguration(`${name} is ${String(value)}`);
  }
  return number;
}

function isSet(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== "boolean") throw new UnfitConfiguration(`${name} is neither true nor false`);
  return value;
}

function prizesOf(value: unknown): Prize[] {
  if (!Array.isArray(value) || value.length > MAX_PRIZE_ROWS) throw new UnfitConfiguration("prizes is no list of prizes");
  return value.map((one: unknown) => {
    const fields = objectOf(one, "a prize", [...PRIZE, ...PRIZE_IDLE]);
    return {
      prize_id: wholeOf(fields, "prize_id", 1),
      name: typeof fields["name"] === "string" ? fields["name"] : "",
      units: wholeOf(fields, "units", UNLIMITED, PPB),
      weight: wholeOf(fields, "weight", 0, PPB),
      enabled: isSet(fields, "enabled"),
      wins_per_user: wholeOf(fields, "wins_per_user"),
      retired: isSet(fields, "retired"),
      last_prize: isSet(fields, "last_prize"),
    };
  });
}

function check({ mode, prizes }: Configuration): void {
  const live = prizes.filter((prize) => !prize.retired);
  const last = live.filter((prize) => prize.last_prize);
  const odds = live.reduce((sum, prize) => sum + (prize.enabled ? prize.weight : 0), 0);
  const faults: [boolean, string][] = [
    [live.length > MAX_PRIZES, `it has more than ${MAX_PRIZES} prizes`],
    [new Set(prizes.map((prize) => prize.prize_id)).size < prizes.length, "a prize is named twice"],
    [mode === "ODDS" && odds > PPB, "the chances sum to more than 1"],
    [mode !== "WEIGHTS" && prizes.some((prize) => prize.units === UNLIMITED), "only mode WEIGHTS has unlimited units"],
    [live.some((prize) => prize.units === UNLIMITED && !prize.weight), "unlimited units need a weight"],
    [last.length > 0 && (mode !== "TICKETS" || last.length > 1), "only mode TICKETS has a last prize, and one"],
  ];
  const fault = faults.find(([is]) => is);
  if (fault) throw new UnfitConfiguration(fault[1]);
}
