import { expect, test } from "vitest";
import { ServerClock } from "@/api/clock";

const AHEAD_MS = 90_400;

/** Answers that a server, whose clock is ahead, gives to a device that asks now and then. */
function learned(count: number): { clock: ServerClock; local: () => number } {
  let local = 1_000_000_000_000;
  const clock = new ServerClock(() => local);
  for (let n = 0; n < count; n++) {
    const asked = local;
    local += 20;
    const date = new Date(local + AHEAD_MS).toUTCString(); // full seconds, as HTTP has them
    local += 20;
    clock.learn(date, asked);
    local += 337;
  }
  return { clock, local: () => local };
}

test("is the device's own while the server has said nothing", () => {
  expect(new ServerClock(() => 5).now()).toBe(5);
  const { clock } = learned(0);
  clock.learn("yesterday or so", 0);
  clock.learn(null, 0);
  expect(clock.now()).toBe(1_000_000_000_000);
});

test("is known to a second after one answer, and to a fraction of it after some", () => {
  const once = learned(1);
  expect(Math.abs(once.clock.now() - once.local() - AHEAD_MS)).toBeLessThan(1000);
  const often = learned(40);
  expect(Math.abs(often.clock.now() - often.local() - AHEAD_MS)).toBeLessThan(60);
});

test("is learnt anew where a clock was set", () => {
  const { clock, local } = learned(10);
  clock.learn(new Date(local() - 3_600_000).toUTCString(), local());
  expect(Math.abs(clock.now() - local() + 3_600_000)).toBeLessThan(1000);
});
