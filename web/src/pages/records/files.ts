import { BrokenOff, piecesOf, saysIncomplete } from "./streams";

/** Where a file goes while it comes. */
export interface Sink {
  write(piece: Uint8Array<ArrayBuffer>): Promise<void>;
  /** All of it is there. */
  close(): Promise<void>;
  /** It is not all: nothing is left of it where that can be. */
  abort(): Promise<void>;
}

interface FileHandle {
  createWritable(): Promise<Sink>;
}
type Picker = (options: { suggestedName: string; types: { accept: Record<string, string[]> }[] }) => Promise<FileHandle>;

/**
 * A file that the reader of the page names, written as it comes; where the browser can't, one that is downloaded once all
 * of it is there. null: the reader thought better of it. It has to be called while a click is handled.
 */
export async function newFile(name: string): Promise<Sink | null> {
  const pick = (window as unknown as { showSaveFilePicker?: Picker }).showSaveFilePicker;
  if (!pick) return download(name);
  try {
    const handle = await pick({ suggestedName: name, types: [{ accept: { "text/csv": [".csv"] } }] });
    return await handle.createWritable();
  } catch (error) {
    if ((error as Error).name === "AbortError") return null;
    return download(name); // not allowed here, such as in a frame
  }
}

function download(name: string): Sink {
  let pieces: Blob[] = [];
  let open: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const LARGE = 4_000_000; // browsers keep large blobs on the disk
  const settle = () => {
    pieces.push(new Blob(open));
    open = [];
    size = 0;
  };
  return {
    async write(piece) {
      open.push(piece);
      size += piece.byteLength;
      if (size > LARGE) settle();
    },
    async close() {
      settle();
      save(new Blob(pieces, { type: "text/csv;charset=utf-8" }), name);
    },
    async abort() {
      pieces = open = [];
    },
  };
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const TAIL = 200;

/** Writes the answer that was asked for to the file as it comes; BrokenOff where it is not all, and then the file is none. */
export async function writeAnswer(asked: Response | Promise<Response>, file: Sink, progress: (bytes: number) => void, signal?: AbortSignal): Promise<void> {
  const text = new TextDecoder();
  let bytes = 0;
  let tail = "";
  try {
    for await (const piece of piecesOf(await asked, signal)) {
      await file.write(piece as Uint8Array<ArrayBuffer>);
      bytes += piece.byteLength;
      tail = (tail + text.decode(piece.subarray(-TAIL))).slice(-TAIL);
      progress(bytes);
    }
    if (saysIncomplete(tail)) throw new BrokenOff(tail.trim());
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}

/** Writes lines that are made here. */
export async function writeLines(lines: AsyncIterable<string>, file: Sink): Promise<void> {
  const text = new TextEncoder();
  try {
    await file.write(text.encode("\ufeff")); // else some spreadsheets show 赏 as èµ
    for await (const some of lines) await file.write(text.encode(some));
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}
