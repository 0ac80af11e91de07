import { Unanswered } from "@/api/failures";
import { CsvReader } from "./csv";

const SILENCE_MS = 60_000; // a stream that says nothing for so long is cut off
/** An export of many millions of rows takes a while; silence ends it sooner. */
export const LONGEST_MS = 6 * 3_600_000;
const FAILED = "INCOMPLETE"; // what the server ends with where it failed midway: see StreamRecords in admin.proto

/** A stream of CSV broke off: what came of it is not all. */
export class BrokenOff extends Unanswered {
  constructor(message: string) {
    super(message);
    this.name = "BrokenOff";
  }
}

/** The pieces of an answer as they come; BrokenOff where they stop, or nothing comes for a minute. */
export async function* piecesOf(answer: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const stop = () => void reader.cancel().catch(() => undefined);
  signal?.addEventListener("abort", stop);
  try {
    for (;;) {
      const { done, value } = await next(reader.read());
      if (signal?.aborted) throw signal.reason;
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** What is read; BrokenOff where nothing comes for too long, or the connection ends. */
async function next<T>(read: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("silence")), SILENCE_MS);
  });
  try {
    return await Promise.race([read, silence]);
  } catch (error) {
    throw new BrokenOff(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** The rows of a CSV answer, the columns' names first; BrokenOff where the last line says that it is not all. */
export async function* rowsOf(answer: Response, signal?: AbortSignal): AsyncGenerator<string[][]> {
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = new CsvReader();
  for await (const piece of piecesOf(answer, signal)) yield whole(reader.push(text.decode(piece, { stream: true })));
  yield whole([...reader.push(text.decode()), ...reader.end()]);
}

function whole(rows: string[][]): string[][] {
  const last = rows.at(-1);
  if (last?.length === 1 && last[0]?.startsWith(FAILED)) throw new BrokenOff(last[0]);
  return rows;
}

/** Whether the end of a file says that it is not all. */
export function saysIncomplete(tail: string): boolean {
  const lines = tail.trimEnd().split("\n");
  return lines.at(-1)?.startsWith(FAILED) ?? false;
}
