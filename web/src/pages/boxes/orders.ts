import type { Client } from "@/api/client";
import type { components } from "@/api/schema";
import { keptRef } from "@/session/kept";

export type OrderPrize = components["schemas"]["blindbox.OrderPrize"];
export type Kind = "ichiban" | "infinite";

const LOGS = { ichiban: "/api/blindbox/prize_order_log", infinite: "/api/blindbox/infinite_prize_order_log" } as const;

/** What an order of the player's gave; empty: he has none of that number. `kind` unknown: both logs are asked. */
export async function prizesOf(client: Client, order_num: string, signal?: AbortSignal, kind?: Kind): Promise<OrderPrize[]> {
  const asking = { query: { order_num }, ...(signal ? { signal } : {}) };
  const kinds = kind ? [kind] : (["ichiban", "infinite"] as const);
  const found = await Promise.all(kinds.map((one) => client.get(LOGS[one], asking)));
  return found.flatMap((prizes) => prizes ?? []);
}

/** The order that stands for a card's draw. */
export const orderOfCard = (card: number) => `card:${card}`;

const MOST = 100;

/** The numbers of the player's orders, as far as this browser has heard of them, newest first. */
export function useOrderNumbers(userId: string) {
  const numbers = keptRef<string[]>(`kuji.orders.${userId}`, []);
  const without = (number: string) => numbers.value.filter((one) => one !== number);
  return {
    numbers,
    remember: (number: string) => void (numbers.value = [number, ...without(number)].slice(0, MOST)),
    forget: (number: string) => void (numbers.value = without(number)),
  };
}
