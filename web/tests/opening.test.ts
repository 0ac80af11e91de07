import { beforeEach, describe, expect, test } from "vitest";
import { effectScope } from "vue";
import type { Client } from "@/api/client";
import { Refused, Unanswered } from "@/api/failures";
import { useOpening } from "@/pages/boxes/opening";

interface Asked {
  item_card_id: number;
  request_id: string;
}

const asked: Asked[] = [];
let answer: () => Promise<unknown>;
const client = {
  post: (_: string, { body }: { body: Asked }) => {
    asked.push(body);
    return answer();
  },
} as unknown as Client;

/** A page's opening, as it is after every load of the page. */
const loaded = () => effectScope().run(() => useOpening({ client, userId: "5", goodsId: 7, num: 1 })) as ReturnType<typeof useOpening>;

beforeEach(() => {
  localStorage.clear();
  asked.length = 0;
});

describe("an item card", () => {
  test("whose answer was lost is asked for by the same name after a reload, whichever is chosen then", async () => {
    answer = () => Promise.reject(new Unanswered("cut"));
    await loaded().open(1);
    const after = loaded();
    expect(after.begunCard()).toBe(1);
    answer = () => Promise.resolve({ title: "Lantern" });
    await after.open(2);
    expect(asked[1]).toEqual(asked[0]);
    expect([after.phase.value, after.result.value?.title]).toEqual(["told", "Lantern"]);
  });

  test("that was opened is shown again until it was seen", async () => {
    answer = () => Promise.resolve({ title: "Lantern" });
    await loaded().open(1);
    const after = loaded();
    expect(after.begunCard()).toBe(1);
    await after.open(1);
    after.seen();
    expect([after.phase.value, loaded().begunCard()]).toEqual(["idle", undefined]);
    await after.open(2);
    expect(asked.map((one) => one.item_card_id)).toEqual([1, 1, 2]);
    expect(new Set(asked.map((one) => one.request_id)).size).toBe(2);
  });

  test("that was refused has drawn nothing, and is opened anew", async () => {
    answer = () => Promise.reject(new Refused(200, "BOX_PROTECTED", "held", { retry_after_ms: "9000" }));
    const page = loaded();
    await page.open(1);
    expect([page.phase.value, page.begunCard()]).toEqual(["idle", undefined]);
    await page.open(1);
    expect(new Set(asked.map((one) => one.request_id)).size).toBe(2);
  });
});
