import { computed, watch, type Ref } from "vue";
import { anybody } from "@/api/client";
import { useLoaded } from "@/compose/loaded";
import { knownStock, levelsOf, type Box, type Goods, type Stock } from "./goods";

interface Of {
  goods: Goods;
  box: Box;
}

const EVERY_MS = 10_000;

/**
 * What is left in one and the same box, by level: asked for where the shelf does not tell, and again when the box has changed.
 * A wall has many boxes: nothing is asked for those that nobody has seen.
 */
export function useLevels(of: () => Of, isSeen: Readonly<Ref<boolean>>) {
  const known = computed(() => knownStock(of().goods, of().box));

  async function asked(signal: AbortSignal): Promise<Stock | null> {
    if (known.value || !isSeen.value) return known.value;
    const { goods, box } = of();
    const query = { goods_id: goods.goods_id, num: box.num };
    const rows = (await anybody.get("/api/blindbox/probabilities", { query, signal })) ?? [];
    return new Map(rows.map((row) => [row.goods_item_id, { left: row.surplus_stock, chance: row.probability / 100 }]));
  }

  // An unlimited box never shows that something was drawn from it.
  const { data, error, reload } = useLoaded(asked, of().box.left === null ? { every: EVERY_MS } : {});
  watch([() => of().box.left, isSeen], () => void reload());

  const levels = computed(() => {
    const stock = known.value ?? data.value;
    return stock ? levelsOf(of().goods, stock) : null;
  });
  return { levels, error, reload };
}
