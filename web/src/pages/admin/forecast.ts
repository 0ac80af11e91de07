/**
 * What odds and units come to, before anything is saved: by arithmetic, on this page.
 *
 * A prize's chance stays the same while it has units, and the others' stock changes nothing of it. So after n draws its
 * wins are binomial (n, p), up to its units; their quantiles are taken from the normal curve, which is near enough to
 * look at. The server's simulator plays the draws themselves, once the draft is saved.
 */
export interface Draft {
  name: string;
  /** Units that can still be won. */
  units: number;
  /** Chance of one draw, 0…1. */
  probability: number;
  isEnabled: boolean;
}

/** How draws are expected: `draws` of them within `seconds`; half of them in the first tenth where there is a rush. */
export interface Arrivals {
  draws: number;
  seconds: number;
  shape: "even" | "rush";
}

interface Forecast {
  name: string;
  units: number;
  /** Units left at each of the moments: 5 %, the half and 95 % of all courses have as many or fewer. */
  low: number[];
  middle: number[];
  high: number[];
  findings: Finding[];
}

export type Finding = "SOLD_OUT_EARLY" | "MUCH_LEFT" | "NEVER_GIVEN";

const STEPS = 80;
const Z95 = 1.645;
const RUSH = { time: 0.1, draws: 0.5 };

/** Stretches of time, one after the other: how long, and how many draws arrive in it. */
export function stretches({ draws, seconds, shape }: Arrivals): [number, number][] {
  if (shape === "even") return [[seconds, draws]];
  const early = Math.round(draws * RUSH.draws);
  return [[seconds * RUSH.time, early], [seconds * (1 - RUSH.time), draws - early]];
}

/** Draws that have arrived after so many seconds. */
export function arrived(arrivals: Arrivals, after: number): number {
  let left = after;
  let sum = 0;
  for (const [seconds, draws] of stretches(arrivals)) {
    sum += draws * Math.min(1, Math.max(0, left) / seconds);
    left -= seconds;
  }
  return sum;
}

/** Moments of a chart, seconds from the beginning. */
export function momentsOf({ seconds }: Arrivals): number[] {
  return Array.from({ length: STEPS + 1 }, (_, i) => (seconds * i) / STEPS);
}

/** The odds of a draw now: what is disabled or gone has none; the rest is no win. */
export function effective(prizes: readonly Draft[]): { chances: number[]; miss: number } {
  const chances = prizes.map((one) => (one.isEnabled && one.units > 0 ? one.probability : 0));
  return { chances, miss: Math.max(0, 1 - sum(chances)) };
}

/** The enabled odds' sum, which the server takes up to 1; in billionths, as it reckons. */
export function oddsSum(prizes: readonly Draft[]): number {
  return sum(prizes.map((one) => (one.isEnabled ? Math.round(one.probability * 1e9) : 0))) / 1e9;
}

export function forecast(prize: Draft, arrivals: Arrivals): Forecast {
  const chance = prize.isEnabled ? prize.probability : 0;
  const left = (n: number, z: number) => {
    const won = n * chance + z * Math.sqrt(n * chance * (1 - chance));
    return Math.min(prize.units, Math.max(0, prize.units - Math.round(won)));
  };
  const draws = momentsOf(arrivals).map((second) => arrived(arrivals, second));
  const course = {
    low: draws.map((n) => left(n, Z95)),
    middle: draws.map((n) => left(n, 0)),
    high: draws.map((n) => left(n, -Z95)),
  };
  return { name: prize.name, units: prize.units, ...course, findings: findingsOf(prize.units, course.middle, chance, arrivals) };
}

/** As the simulator names them: see SimulatedPrize.findings. */
function findingsOf(units: number, middle: readonly number[], chance: number, { draws }: Arrivals): Finding[] {
  if (!units) return [];
  if ((1 - chance) ** draws > 0.95) return ["NEVER_GIVEN"];
  const gone = middle.indexOf(0);
  if (gone >= 0 && gone <= STEPS / 10) return ["SOLD_OUT_EARLY"];
  return (middle.at(-1) ?? 0) >= units / 2 ? ["MUCH_LEFT"] : [];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
