/** A ledger file, read piece by piece: gzip or plain text, a JSON object a line. Never all of it is in memory. */
import { UnfitFile } from "./findings";
import { headerOf, recordOf, type Header, type LedgerRecord } from "./records";

/** The longest line that Kuji writes is that of a configuration with 400 prizes: about 1 MB. */
export const MOST_CHARACTERS = 8_000_000;
const GZIP = [0x1f, 0x8b];

export interface Source {
  /** Bytes, of the file as it lies there. */
  readonly size: number;
  stream(): ReadableStream<Uint8Array>;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** What is told while a file is read. */
export interface Hearing {
  header(header: Header): Promise<void> | void;
  record(record: LedgerRecord): void;
  /** Bytes of the file that were taken so far. */
  taken?(bytes: number): void;
}

/** Reads `file` to its end; UnfitFile where it cannot be read, and whatever `hearing` throws. */
export async function readLedger(file: Source, hearing: Hearing): Promise<void> {
  let taken = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      taken += piece.length;
      controller.enqueue(piece);
    },
  });
  const reader = (await unpacked(file, file.stream().pipeThrough(counted))).getReader();
  const lines = new Lines();
  try {
    for (;;) {
      const { done, value } = await piece(reader, lines);
      for (const line of done ? lines.end() : lines.take(value)) {
        if (lines.number === 1) await hearing.header(headerOf(line));
        else hearing.record(recordOf(line, lines.number));
      }
      if (done) break;
      hearing.taken?.(taken);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  if (lines.number === 0) throw new UnfitFile("empty", 1, "it has no line");
}

async function unpacked(file: Source, stream: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  const first = new Uint8Array(await file.slice(0, GZIP.length).arrayBuffer());
  if (!GZIP.every((byte, at) => first[at] === byte)) return stream;
  return stream.pipeThrough(new DecompressionStream("gzip") as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
}

async function piece(reader: ReadableStreamDefaultReader<Uint8Array>, lines: Lines) {
  try {
    return await reader.read();
  } catch (error) {
    throw new UnfitFile("broken", lines.number + 1, String(error));
  }
}

/** Cuts bytes into lines. */
class Lines {
  /** Of the line given last, from 1. */
  number = 0;
  private rest = "";
  private readonly decoder = new TextDecoder("utf-8", { fatal: true });

  *take(bytes: Uint8Array): Generator<string> {
    const text = this.rest + this.decoded(bytes);
    let from = 0;
    for (let to = text.indexOf("\n"); to >= 0; to = text.indexOf("\n", from)) {
      yield this.next(text.slice(from, to));
      from = to + 1;
    }
    this.rest = text.slice(from);
    if (this.rest.length > MOST_CHARACTERS) this.tooLong();
  }

  *end(): Generator<string> {
    const text = this.rest + this.decoded();
    this.rest = "";
    if (text) yield this.next(text);
  }

  private next(line: string): string {
    this.number += 1;
    if (line.length > MOST_CHARACTERS) this.tooLong();
    return line;
  }

  private decoded(bytes?: Uint8Array): string {
    try {
      return bytes ? this.decoder.decode(bytes, { stream: true }) : this.decoder.decode();
    } catch {
      throw new UnfitFile("text", this.number + 1, "it is no UTF-8");
    }
  }

  private tooLong(): never {
    throw new UnfitFile("line_too_long", this.number + 1, `it has more than ${MOST_CHARACTERS} characters`);
  }
}
