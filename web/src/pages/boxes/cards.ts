import type { components } from "@/api/schema";
import { useLoaded } from "@/compose/loaded";
import { usePlayer } from "@/session/session";

export type ItemCard = components["schemas"]["blindbox.ItemCard"];

const EVERY_MS = 15_000;

/** The player's item cards, newest first. */
export function useCards() {
  const player = usePlayer();
  return useLoaded(
    async (signal) => (await player.client.get("/api/blindbox/item_cards", { signal })) ?? [],
    { every: EVERY_MS },
  );
}

/** Those that can be opened on goods: first what is good for nothing else, then the oldest. */
export function fitting(cards: readonly ItemCard[], goodsId: number): ItemCard[] {
  return cards
    .filter((card) => card.status === "unused" && (card.goods_id === null || card.goods_id === goodsId))
    .sort((a, b) => Number(a.goods_id === null) - Number(b.goods_id === null) || a.addtime - b.addtime);
}
