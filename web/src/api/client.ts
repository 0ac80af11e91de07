import { clock } from "./clock";
import { Refused, Unanswered, passes, type Reason } from "./failures";
import type { paths } from "./schema";

const TIMEOUT_MS = 20_000;
const PATIENCE_MS = 15_000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 3_000;

type Verb = "get" | "post" | "put" | "delete";
type Operation<P extends keyof paths, V extends Verb> = paths[P][V];
type Json<T> = T extends { content: { "application/json": infer B } } ? B : never;

/** The paths that have the verb. */
export type PathOf<V extends Verb> = {
  [P in keyof paths]: Operation<P, V> extends { responses: unknown } ? P : never;
}[keyof paths];

/** The envelope's data. */
export type Data<P extends keyof paths, V extends Verb> =
  Operation<P, V> extends { responses: { 200: infer R } } ? (Json<R> extends { data: infer D } ? D : never) : never;

type Parameter<P extends keyof paths, V extends Verb, In extends string> =
  Operation<P, V> extends { parameters: { [K in In]?: infer T } } ? NonNullable<T> : never;
type BodyOf<P extends keyof paths, V extends Verb> =
  Operation<P, V> extends { requestBody?: infer R } ? Json<NonNullable<R>> : never;

/** What a call takes: the path's variables, the query, the body; and how it is made. */
export interface Asking<P extends keyof paths, V extends Verb> {
  path?: Parameter<P, V, "path">;
  query?: Parameter<P, V, "query">;
  body?: BodyOf<P, V>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Milliseconds for which it is repeated while its failures pass. A GET is, unless told otherwise; others are not. */
  patience?: number;
}

/** Whose calls they are: gives the access token, and a new one where the server takes it no more. */
export interface Bearer {
  token(): Promise<string | null>;
  renewed(refused: string): Promise<string | null>;
}

interface Plain {
  path?: object;
  query?: object;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  patience?: number;
  /** Milliseconds until it is given up, its body included; for streams. */
  timeout?: number;
}

/** The JSON API: typed by envoy/openapi.json; the envelope is understood here and nowhere else. */
export class Client {
  constructor(private readonly bearer: Bearer | null = null) {}

  get<P extends PathOf<"get">>(path: P, asking: Asking<P, "get"> = {}): Promise<Data<P, "get">> {
    return this.patient("GET", path, { patience: PATIENCE_MS, ...asking }) as Promise<Data<P, "get">>;
  }

  post<P extends PathOf<"post">>(path: P, asking: Asking<P, "post"> = {}): Promise<Data<P, "post">> {
    return this.patient("POST", path, asking) as Promise<Data<P, "post">>;
  }

  put<P extends PathOf<"put">>(path: P, asking: Asking<P, "put"> = {}): Promise<Data<P, "put">> {
    return this.patient("PUT", path, asking) as Promise<Data<P, "put">>;
  }

  delete<P extends PathOf<"delete">>(path: P, asking: Asking<P, "delete"> = {}): Promise<Data<P, "delete">> {
    return this.patient("DELETE", path, asking) as Promise<Data<P, "delete">>;
  }

  /** The answer as it came, for what is no envelope: files and streams. Refusals are thrown all the same. */
  async raw(verb: string, template: string, asking: Plain = {}): Promise<Response> {
    const token = this.bearer ? await this.bearer.token() : null;
    const answer = await send(verb, template, asking, token);
    if (answer.status !== 401 || !this.bearer || token === null) return accepted(answer);
    const renewed = await this.bearer.renewed(token);
    if (renewed === null) return accepted(answer);
    return accepted(await send(verb, template, asking, renewed));
  }

  private async patient(verb: string, template: string, asking: Plain): Promise<unknown> {
    return insistently(() => this.once(verb, template, asking), asking.patience ?? 0, asking.signal);
  }

  private async once(verb: string, template: string, asking: Plain): Promise<unknown> {
    const answer = await this.raw(verb, template, asking);
    const envelope = await envelopeOf(answer);
    if (envelope?.status === 1) return envelope.data;
    throw refusal(answer, envelope); // the old clients' routes refuse with HTTP 200
  }
}

interface Envelope {
  status: number;
  msg: string;
  data: unknown;
  reason?: Reason;
  metadata?: Record<string, string>;
}

/** What `call` gives, repeated while its failures pass, for `patience` milliseconds. It has to be idempotent. */
export async function insistently<T>(call: () => Promise<T>, patience: number, signal?: AbortSignal): Promise<T> {
  const end = performance.now() + patience;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await call();
    } catch (error) {
      const asked = error instanceof Refused ? error.retryAfterMs : 0;
      const wait = Math.max(asked, pause * (0.5 + Math.random() / 2)); // spread: many were refused together
      if (!passes(error) || signal?.aborted || performance.now() + wait > end) throw error;
      await sleep(wait, signal);
    }
  }
}

/** Waits; ends at once, without an error, when the signal comes. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** The address for a path's template. */
export function addressOf(template: string, path: object = {}, query: object = {}): string {
  const variables = path as Record<string, unknown>;
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(variables[name])));
  const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return asked.length ? `${filled}?${new URLSearchParams(asked.map(([k, v]) => [k, String(v)]))}` : filled;
}

async function send(verb: string, template: string, asking: Plain, token: string | null): Promise<Response> {
  const headers = new Headers(asking.headers);
  if (token) headers.set("authorization", `Bearer ${token}`);
  const options: RequestInit = { method: verb, headers, signal: bounded(asking.signal, asking.timeout), cache: "no-store" };
  if (asking.body !== undefined) {
    headers.set("content-type", "application/json");
    options.body = JSON.stringify(asking.body);
  }
  const asked = clock.localNow();
  try {
    const answer = await fetch(addressOf(template, asking.path, asking.query), options);
    clock.learn(answer.headers.get("date"), asked);
    return answer;
  } catch (error) {
    if (asking.signal?.aborted) throw error;
    throw new Unanswered(String(error));
  }
}

function bounded(signal?: AbortSignal, milliseconds = TIMEOUT_MS): AbortSignal {
  const timeout = AbortSignal.timeout(milliseconds);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

async function accepted(answer: Response): Promise<Response> {
  if (answer.ok) return answer;
  throw refusal(answer, await envelopeOf(answer));
}

async function envelopeOf(answer: Response): Promise<Envelope | null> {
  try {
    return (await answer.json()) as Envelope;
  } catch {
    return null;
  }
}

/** Why the answer is none. What is not of our making, such as a proxy's page, leaves the outcome unknown. */
function refusal(answer: Response, envelope: Envelope | null): Error {
  if (!envelope?.reason) return new Unanswered(`HTTP ${answer.status} without a reason`);
  return new Refused(answer.status, envelope.reason, envelope.msg, envelope.metadata);
}

/** For what needs no account. */
export const anybody = new Client();
