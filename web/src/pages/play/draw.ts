import { onScopeDispose, ref, shallowRef } from "vue";
import { sleep, type Client } from "@/api/client";
import { clock } from "@/api/clock";
import { isReason } from "@/api/failures";
import type { components } from "@/api/schema";
import { PATIENCE_MS, isOpenStill, keepPending, newRequestId, pendingOf, type Begun } from "@/draws/pending";
import { solvePuzzle } from "@/tickets/solver";

export type DrawResult = components["schemas"]["draw.DrawResult"];

/** What the page waits for: nothing, a ticket, its puzzle, its time, the answer; "told" once that is there. */
export type Phase = "idle" | "ticket" | "puzzle" | "waiting" | "asking" | "told";

interface Of {
  client: Client;
  userId: string;
  activityId: string;
}

/** A draw that was begun, with its ticket where the activity asks for one: that is its name then. */
interface Pending extends Begun {
  ticket?: string;
  difficulty?: number;
  solution?: string;
  /** Not before that moment may it be asked for. */
  not_before?: string;
}

/**
 * One draw at a time of one player in one activity.
 *
 * What names a draw is kept before it is asked for, and forgotten when its result was seen: whatever happens in between
 * (a lost answer, a reload, a closed tab), going on with it gives the result that the server knows.
 */
export function useDraw({ client, userId, activityId }: Of) {
  const phase = ref<Phase>("idle");
  const chance = ref(0); // that the puzzle would be solved by now
  const result = shallowRef<DrawResult>();
  const problem = shallowRef<unknown>();
  const abort = new AbortController();
  const { signal } = abort;

  const pending = () => pendingOf<Pending>(userId, activityId, clock.now());
  const keep = (now: Pending | null) => keepPending(userId, activityId, now);

  async function begun(needsTicket: boolean): Promise<Pending> {
    const known = pending();
    if (known) return known;
    const now = needsTicket ? await ticketed() : { request_id: newRequestId(), begun_at: clock.now() };
    keep(now);
    return now;
  }

  async function ticketed(): Promise<Pending> {
    phase.value = "ticket";
    const body = { activity_id: activityId };
    const got = await client.post("/api/lottery/ticket", { body, signal, patience: PATIENCE_MS });
    const { ticket, difficulty, not_before } = got;
    return { ticket, difficulty, not_before, begun_at: clock.now() };
  }

  async function solved(now: Pending): Promise<Pending> {
    if (!now.ticket || !now.difficulty || now.solution) return now;
    phase.value = "puzzle";
    chance.value = 0;
    const solution = await solvePuzzle(now.ticket, now.difficulty, (by) => (chance.value = by), signal);
    const done = { ...now, solution };
    keep(done);
    return done;
  }

  async function due(now: Pending): Promise<void> {
    const wait = Date.parse(now.not_before ?? "") - clock.now();
    if (!(wait > 0)) return;
    phase.value = "waiting";
    await sleep(wait, signal);
  }

  async function answered({ request_id, ticket, solution }: Pending): Promise<DrawResult> {
    phase.value = "asking";
    const own = ticket ? { ticket, ...(solution ? { solution } : {}) } : { request_id: request_id ?? "" };
    const body = { activity_id: activityId, ...own };
    return client.post("/api/lottery/draw", { body, signal, patience: PATIENCE_MS });
  }

  /** Draws, or goes on with the draw that was begun. */
  async function draw(needsTicket: boolean): Promise<void> {
    if (phase.value !== "idle") return;
    problem.value = undefined;
    try {
      const now = await solved(await begun(needsTicket));
      await due(now);
      result.value = await answered(now);
      phase.value = "told";
    } catch (error) {
      if (signal.aborted) return;
      if (isOver(error)) keep(null);
      phase.value = "idle";
      if (isReason(error, "TICKET_REQUIRED") && !needsTicket) return draw(true);
      problem.value = error;
    }
  }

  /** Whether the draw will never be: nothing was drawn, and asking again would draw anew. */
  function isOver(error: unknown): boolean {
    if (isOpenStill(error)) return false;
    return !(isReason(error, "COOLDOWN") && pending()?.ticket); // a ticket is good until it expires
  }

  /** The result was seen: the next draw is another. */
  function seen(): void {
    keep(null);
    result.value = undefined;
    phase.value = "idle";
  }

  onScopeDispose(() => abort.abort());
  return { phase, chance, result, problem, draw, seen, wasBegun: () => pending() !== null };
}
