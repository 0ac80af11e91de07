import { addressOf } from "./client";

export interface Listening {
  event(data: unknown): void;
  /** Events that are not at hand any more were missed: what is shown has to be loaded anew. */
  missed(): void;
  /** Whether events come at this moment. */
  live(isLive: boolean): void;
}

const COME_BACK_MS = 3_000;

/**
 * Listens to Server-Sent Events until the function that it gives is called.
 *
 * A cut connection comes back by itself with the id of the last event; this brings back the ones that a browser
 * gives up for good, and lets nothing be heard twice.
 */
export function listen(path: string, query: Record<string, string>, listening: Listening): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = "";

  function open(): void {
    source = new EventSource(addressOf(path, {}, { ...query, last_event_id: last }));
    source.onopen = () => listening.live(true);
    source.onmessage = ({ data, lastEventId }: MessageEvent<string>) => {
      if (lastEventId) last = lastEventId;
      listening.event(JSON.parse(data));
    };
    source.addEventListener("missed", () => listening.missed());
    source.onerror = () => {
      listening.live(false);
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, COME_BACK_MS * (0.5 + Math.random()));
    };
  }

  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
