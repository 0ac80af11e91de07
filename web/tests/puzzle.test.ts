import { describe, expect, test } from "vitest";
import { solve } from "@/tickets/puzzle";
import { chanceOfSolved } from "@/tickets/solver";
import cases from "../../tests/unit/web/puzzles.json";

describe("the puzzle of a draw ticket", () => {
  test.each(cases)("of $difficulty bits is solved as Python solves it", ({ ticket, difficulty, solution }) => {
    expect(solve(ticket, difficulty)).toBe(solution);
  });

  test("of what is no ticket is refused", () => {
    expect(() => solve("short", 1)).toThrow(RangeError);
  });

  test("tells how far it is, from the beginning", () => {
    const told: number[] = [];
    solve("A".repeat(64), 14, (attempts) => told.push(attempts));
    expect(told[0]).toBe(0);
    expect(chanceOfSolved(0, 14)).toBe(0);
    expect(chanceOfSolved(2 ** 14, 14)).toBeCloseTo(0.632, 3);
  });
});
