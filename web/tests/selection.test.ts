import { expect, test } from "vitest";
import { bytesOf, hexOf } from "@/proof/hashes";
import { Roller } from "@/proof/roller";
import { select, uniform, weightOf } from "@/proof/selection";
import table from "../../tests/unit/pool/rule/selection_cases.json";

test.each(table.cases)("$name, as in Python and in Lua", ({ roll, weights, total, ticket, index }) => {
  expect(uniform(bytesOf(roll), total)).toBe(ticket);
  expect(select(weights, ticket)).toBe(index ?? -1);
});

test("a roll is the published one, computed elsewhere", () => {
  const seed = Uint8Array.from({ length: 32 }, (_, at) => at);
  const [roll] = new Roller(seed, 7).rolls(42, "spring-1", 1);
  expect(hexOf(roll as Uint8Array)).toBe("2b03e30560b96146a9ebfd0ccd0cd1dc6156ca76af736508e10e355271c3f206");
});

test("what cannot be drawn among is refused", () => {
  for (const total of [0, -1, Number.NaN, 2 ** 48]) expect(() => uniform(new Uint8Array(32), total)).toThrow(RangeError);
});

test("a weight follows the mode", () => {
  const rows = [
    ["ODDS", 5, 3, 5],
    ["ODDS", 5, 0, 0],
    ["TICKETS", 5, 3, 3],
    ["TICKETS", 5, 0, 0],
    ["WEIGHTS", 5, 3, 5],
    ["WEIGHTS", 0, 3, 3],
    ["WEIGHTS", 5, -1, 5],
    ["WEIGHTS", 5, 0, 0],
  ] as const;
  for (const [mode, weight, left, expected] of rows) expect(weightOf(mode, weight, left)).toBe(expected);
});
