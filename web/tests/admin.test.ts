import { expect, test } from "vitest";
import { arrived, effective, forecast, oddsSum, stretches } from "@/pages/admin/forecast";
import { ratesOf } from "@/pages/admin/live";
import { changes, differences, merged } from "@/components/staff/merge";
import { percentOf, probabilityOf } from "@/pages/admin/prize-draft";
import { courseOf } from "@/pages/admin/simulation";
import { roleOf } from "@/pages/admin/staff";

const EVEN = { draws: 1000, seconds: 100, shape: "even" } as const;
const RUSH = { ...EVEN, shape: "rush" } as const;
const PRIZE = { name: "Lantern", units: 100, probability: 0.1, isEnabled: true };

test("all draws arrive within the time, half of them at once where there is a rush", () => {
  expect([arrived(EVEN, 50), arrived(EVEN, 100), arrived(EVEN, 200)]).toEqual([500, 1000, 1000]);
  expect([arrived(RUSH, 10), arrived(RUSH, 100)]).toEqual([500, 1000]);
  expect(stretches({ ...RUSH, draws: 7 }).reduce((sum, [, draws]) => sum + draws, 0)).toBe(7);
});

test("what is gone or disabled has no odds, and its share is no win", () => {
  const { chances, miss } = effective([PRIZE, { ...PRIZE, units: 0 }, { ...PRIZE, isEnabled: false }]);
  expect(chances).toEqual([0.1, 0, 0]);
  expect(miss).toBeCloseTo(0.9);
});

test("odds add up in billionths, so that ten tenths are one", () => {
  expect(oddsSum(Array.from({ length: 10 }, () => PRIZE))).toBe(1);
});

test("a forecast's quantiles are the binomial's, within the units", () => {
  const { low, middle, high } = forecast({ ...PRIZE, units: 1000 }, EVEN);
  // Binomial(1000, 0.1): 5 % 85, median 100, 95 % 116.
  expect([high.at(-1), middle.at(-1), low.at(-1)]).toEqual([916, 900, 884]);
  expect(middle[0]).toBe(1000);
});

test("a forecast names what may be regretted", () => {
  const of = (change: object) => forecast({ ...PRIZE, ...change }, EVEN).findings;
  expect(of({ units: 5 })).toEqual(["SOLD_OUT_EARLY"]);
  expect(of({ units: 1000 })).toEqual(["MUCH_LEFT"]);
  expect(of({ probability: 1e-9 })).toEqual(["NEVER_GIVEN"]);
  expect(of({})).toEqual([]);
});

test("a simulated course ends where the simulator says: sold out then, or with so much left", () => {
  const prize = { prize_id: "1", name: "", units: 100, left: { p50: 20 }, cost: "0.00", chance_left: 0, findings: [] };
  const kept = courseOf({ ...prize, stock_out_seconds: {} } as never, "p50", EVEN);
  const gone = courseOf({ ...prize, stock_out_seconds: { p50: 50 } } as never, "p50", EVEN);
  expect([kept[0], kept.at(-1)]).toEqual([100, 20]);
  expect([gone[0], gone[40], gone.at(-1)]).toEqual([100, 0, 0]);
});

test("two editors' versions differ where they do, and it is known whose change it is", () => {
  const base = { name: "a", units: 1, cost: "1", note: "x" };
  const mine = { ...base, name: "b", units: 2 };
  const theirs = { ...base, units: 3, cost: "2" };
  const found = differences(base, mine, theirs);
  expect(found.map(({ field, changedBy }) => [field, changedBy])).toEqual([["name", "me"], ["units", "both"], ["cost", "them"]]);
  expect(merged(theirs, mine, { name: "mine", units: "mine", cost: "theirs" })).toEqual({ name: "b", units: 2, cost: "2", note: "x" });
  expect(changes(base, mine)).toEqual({ name: "b", units: 2 });
});

test("percent and probability go back and forth in the server's steps", () => {
  for (const probability of [0, 1e-9, 0.07, 0.123456789, 0.29, 1]) expect(probabilityOf(percentOf(probability))).toBe(probability);
});

test("draws a second are those between two looks", () => {
  const sample = (at: number, draws: number) => ({ at, draws, wins: 0, lagMs: 0, left: {} });
  expect(ratesOf([sample(0, 0), sample(2000, 10), sample(3000, 10)])).toEqual([null, 5, 0]);
});

test("a role is what the token says; what is no token may look at most", () => {
  const token = (claims: object) => `x.${btoa(JSON.stringify(claims)).replace(/=/g, "")}.y`;
  expect([roleOf(token({ role: "operator" })), roleOf(token({ role: "king" })), roleOf("")]).toEqual(["operator", "viewer", "viewer"]);
});
