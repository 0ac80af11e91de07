import type { Client } from "@/api/client";
import { Refused, Unanswered, type Reason } from "@/api/failures";
import type { components } from "@/api/schema";
import { arrived, momentsOf, stretches, type Arrivals } from "./forecast";

type Schemas = components["schemas"];
type Step = Partial<Schemas["admin.SimulateActivityResponse"]>;
export type Result = Schemas["admin.SimulationResult"];
export type SimulatedPrize = Schemas["admin.SimulatedPrize"];

const RUNS = 400;
const PATIENCE_MS = 180_000;

/** Plays the activity as it is saved; `progress` gets the share that is played, 0…1. */
export async function simulate(
  client: Client,
  id: string,
  arrivals: Arrivals,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<Result> {
  const body = { arrivals: stretches(arrivals), runs: RUNS };
  const asking = { path: { activity_id: id }, body, signal, timeout: PATIENCE_MS };
  const answer = await client.raw("POST", "/admin/api/activities/{activity_id}/simulate", asking);
  for await (const step of stepsOf(answer)) {
    if (step.progress) progress(step.progress.runs_played / Math.max(1, step.progress.runs));
    if (step.failure) throw new Refused(200, step.failure.reason as Reason, step.failure.message);
    if (step.result) return step.result;
  }
  throw new Unanswered("the stream ended before the result");
}

async function* stepsOf(answer: Response): AsyncGenerator<Step> {
  const reader = (answer.body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
      if (data.length) yield JSON.parse(data.join("\n")) as Step;
    }
  }
}

type Quantile = "p5" | "p50" | "p95";

/** Units left at each moment, in as many of the runs: by when they are gone, or what is left in the end. */
export function courseOf(prize: SimulatedPrize, which: Quantile, arrivals: Arrivals): number[] {
  const gone = prize.stock_out_seconds?.[which];
  const end = gone ?? arrivals.seconds;
  const left = gone === undefined || gone === null ? (prize.left?.[which] ?? prize.units) : 0;
  const draws = Math.max(1, arrived(arrivals, end));
  return momentsOf(arrivals).map((second) => {
    const share = Math.min(1, arrived(arrivals, Math.min(second, end)) / draws);
    return prize.units - (prize.units - left) * share;
  });
}
