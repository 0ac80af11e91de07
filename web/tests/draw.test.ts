// @vitest-environment node
import { expect, test } from "vitest";
import { stepsOf, type Drawer } from "@/proof/draw";
import { hexOf, sha256 } from "@/proof/hashes";
import { Roller } from "@/proof/roller";
import { uniform } from "@/proof/selection";

const seed = Uint8Array.from({ length: 32 }, (_, at) => at);
const roll = new Roller(seed, 7).rolls(42, "order:A-1", 4)[3] as Uint8Array;
const published = {
  draw_id: "7-4", seed_commitment: hexOf(sha256(seed)), seed: hexOf(seed), roll: hexOf(roll), ticket: uniform(roll, 60), odds_weight: 1, odds_total: 60,
};

async function rollStep(drawer: Drawer | null) {
  const [, step] = await stepsOf(published, { drawer });
  return step?.kind === "roll" ? [step.outcome, step.why, step.text] : [];
}

test("whoever knows a draw's request need not know which of its draws it was", async () => {
  const known = { user: "42", request_id: "order:A-1" };
  expect(await rollStep({ ...known, index: 3 })).toEqual(["right", "", "7|42|order:A-1|3"]);
  expect(await rollStep({ ...known, index: null })).toEqual(["right", "", "7|42|order:A-1|3"]);
  expect(await rollStep({ ...known, index: 0 })).toEqual(["wrong", "", "7|42|order:A-1|0"]);
  expect(await rollStep({ ...known, user: "43", index: null })).toEqual(["wrong", "", "7|43|order:A-1|0"]);
  expect(await rollStep(null)).toEqual(["not_yet", "no_drawer", null]);
});

test("a last prize has the only ticket of its own draw", async () => {
  const [, , ticket] = await stepsOf({ ...published, ticket: 0, odds_total: 1 });
  expect(ticket?.outcome).toBe("right");
});
