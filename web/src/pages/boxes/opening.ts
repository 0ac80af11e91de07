import { onScopeDispose, ref, shallowRef } from "vue";
import type { Client } from "@/api/client";
import { clock } from "@/api/clock";
import { Unanswered } from "@/api/failures";
import type { components } from "@/api/schema";
import { PATIENCE_MS, isOpenStill, keepPending, newRequestId, pendingOf, type Begun } from "@/draws/pending";

export type CardResult = components["schemas"]["blindbox.CardResult"];

interface Opening extends Begun {
  item_card_id: number;
}

interface Of {
  client: Client;
  userId: string;
  goodsId: number;
  num: number;
}

/**
 * A player opens one item card at a time on a box.
 *
 * Which card it is, and the opening's name, are kept before the server is asked, and forgotten when the item was seen:
 * after a lost answer or a reload, going on gives the item that the server knows.
 */
export function useOpening({ client, userId, goodsId, num }: Of) {
  const phase = ref<"idle" | "asking" | "told">("idle");
  const result = shallowRef<CardResult>();
  const problem = shallowRef<unknown>();
  const abort = new AbortController();

  const subject = `box.${goodsId}.${num}`;
  const pending = () => pendingOf<Opening>(userId, subject, clock.now());
  const keep = (now: Opening | null) => keepPending(userId, subject, now);

  function begun(card: number): Opening {
    const now = pending() ?? { request_id: newRequestId(), item_card_id: card, begun_at: clock.now() };
    keep(now);
    return now;
  }

  async function answered({ request_id, item_card_id }: Opening): Promise<CardResult> {
    const body = { goods_id: goodsId, num, item_card_id, ...(request_id ? { request_id } : {}) };
    const { signal } = abort;
    const got = await client.post("/api/blindbox/item_card_draw", { body, signal, patience: PATIENCE_MS });
    if (!got) throw new Unanswered("an answer without an item");
    return got;
  }

  /** Opens the card, or goes on with the one that was begun. */
  async function open(card: number): Promise<void> {
    if (phase.value !== "idle") return;
    problem.value = undefined;
    phase.value = "asking";
    try {
      result.value = await answered(begun(card));
      phase.value = "told";
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!isOpenStill(error)) keep(null);
      phase.value = "idle";
      problem.value = error;
    }
  }

  /** The item was seen: the next card is another. */
  function seen(): void {
    keep(null);
    result.value = undefined;
    phase.value = "idle";
  }

  onScopeDispose(() => abort.abort());
  return { phase, result, problem, open, seen, begunCard: () => pending()?.item_card_id };
}
