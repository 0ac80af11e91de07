import type { Draft, ItemDraft, LevelDraft } from "./draft";

/** What a fresh box of the goods does, as the form stands. */
export interface Outlook {
  /** By level, in the form's order. */
  levels: { level: LevelDraft; chance: number; units: number | null; items: ItemDraft[] }[];
  /** By item's key. */
  chances: Map<string, number>;
  /** Tickets of a box; null: it never runs out. */
  tickets: number | null;
  /** What its buyers pay for all of a box. */
  income: number | null;
  /** What all items of a box cost by their prices, the last prize included. */
  worth: number | null;
  /** By ticket, on average. */
  worthPerTicket: number;
  recoveryPerTicket: number;
  /** What its operator may regret: names below catalog.warning. */
  warnings: Warning[];
}

export type Warning =
  | "no_tickets"
  | "recovery_above_price"
  | "worth_above_price"
  | "free"
  | "empty_level"
  | "recovery_above_worth"
  | "rare"
  | "last_prize_missing";

const RARE = 1e-6;

const number = (text: string) => (Number.isFinite(Number(text)) ? Math.max(0, Number(text)) : 0);
const count = (text: string) => (text.trim() ? number(text) : null);

/** The weight that the engine draws by: of a fixed weight, else of what is left; a last prize has no ticket. */
export function weightOf(item: ItemDraft, type: string): number {
  if (type === "ichiban") return item.is_last_prize ? 0 : (count(item.stock) ?? 0);
  return count(item.weight) ?? count(item.stock) ?? 0;
}

export function outlook(draft: Draft): Outlook {
  const { type } = draft.about;
  const total = draft.items.reduce((sum, item) => sum + weightOf(item, type), 0);
  const chances = new Map(draft.items.map((item) => [item.key, total ? weightOf(item, type) / total : 0]));
  const expected = (value: (item: ItemDraft) => number) =>
    draft.items.reduce((sum, item) => sum + (chances.get(item.key) ?? 0) * value(item), 0);
  const tickets = ticketsOf(draft);
  const price = number(draft.about.price);
  const known = {
    levels: draft.levels.map((level) => levelOutlook(level, draft, chances)),
    ...{ chances, tickets },
    income: tickets === null ? null : tickets * price,
    worth: tickets === null ? null : draft.items.reduce((sum, item) => sum + number(item.price) * unitsOf(item, type), 0),
    worthPerTicket: expected((item) => number(item.price)),
    recoveryPerTicket: expected((item) => number(item.sc_money)),
  };
  return { ...known, warnings: warningsOf(draft, known) };
}

function unitsOf(item: ItemDraft, type: string): number {
  return type === "ichiban" && item.is_last_prize ? 1 : (count(item.stock) ?? 0);
}

function ticketsOf({ about, items }: Draft): number | null {
  const drawn = items.filter((item) => about.type === "infinite" || !item.is_last_prize);
  const units = drawn.map((item) => count(item.stock));
  return about.type === "infinite" && units.includes(null) ? null : units.reduce<number>((sum, one) => sum + (one ?? 0), 0);
}

function levelOutlook(level: LevelDraft, draft: Draft, chances: Map<string, number>): Outlook["levels"][number] {
  const items = draft.items.filter((item) => item.level === level.key);
  const isUnlimited = draft.about.type === "infinite" && items.some((item) => count(item.stock) === null);
  return {
    ...{ level, items },
    chance: items.reduce((sum, item) => sum + (chances.get(item.key) ?? 0), 0),
    units: isUnlimited ? null : items.reduce((sum, item) => sum + unitsOf(item, draft.about.type), 0),
  };
}

function warningsOf(draft: Draft, known: Omit<Outlook, "warnings">): Warning[] {
  const { about, items, levels } = draft;
  const price = number(about.price);
  const drawn = [...known.chances.values()].filter((chance) => chance > 0);
  const found: [Warning, boolean][] = [
    ["no_tickets", drawn.length === 0],
    ["free", price === 0],
    ["recovery_above_price", price > 0 && known.recoveryPerTicket > price],
    ["worth_above_price", price > 0 && known.recoveryPerTicket <= price && known.worthPerTicket > price],
    ["recovery_above_worth", items.some((item) => number(item.sc_money) > number(item.price) && number(item.price) > 0)],
    ["empty_level", levels.some((level) => !items.some((item) => item.level === level.key))],
    ["rare", drawn.some((chance) => chance < RARE)],
    ["last_prize_missing", about.type === "ichiban" && drawn.length > 0 && !items.some((item) => item.is_last_prize)],
  ];
  return found.filter(([, holds]) => holds).map(([name]) => name);
}
