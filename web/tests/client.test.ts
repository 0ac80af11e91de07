import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Client, addressOf, anybody, type Bearer } from "@/api/client";
import { Refused, Unanswered } from "@/api/failures";

const ok = (data: unknown) => Response.json({ status: 1, msg: "ok", data });
const no = (code: number, reason: string, metadata?: Record<string, string>) =>
  Response.json({ status: 0, msg: "No.", reason, data: null, metadata }, { status: code });

let answers: (() => Response | Promise<Response>)[];
let asked: Request[];

beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", async (address: string, options: RequestInit) => {
    asked.push(new Request(new URL(address, "http://kuji"), { ...options, signal: null }));
    const next = answers.shift();
    if (!next) throw new TypeError("nobody answers");
    return next();
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** What the call gives or throws, with time run on meanwhile. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  const settled = call.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return settled;
}

describe("a call", () => {
  test("gives what is in the envelope", async () => {
    answers = [() => ok({ activities: [] })];
    expect(await outcome(anybody.get("/api/lottery/activities"))).toEqual({ activities: [] });
  });

  test("fills its path, and leaves out what was not said", () => {
    expect(addressOf("/a/{id}/b", { id: "x/y" }, { page: 1, q: "", at: undefined })).toBe("/a/x%2Fy/b?page=1");
  });

  test.each([200, 409])("that is refused with HTTP %i throws the reason and what comes with it", async (code) => {
    answers = [() => no(code, "COOLDOWN", { retry_after_ms: "41000" })];
    const error = await outcome(anybody.post("/api/lottery/draw", { body: {} }));
    expect(error).toBeInstanceOf(Refused);
    expect([(error as Refused).reason, (error as Refused).retryAfterMs]).toEqual(["COOLDOWN", 41000]);
  });

  test("is repeated while its failures pass, where it reads", async () => {
    answers = [() => no(503, "UNAVAILABLE", { retry_after_ms: "500" }), () => Promise.reject(new TypeError()), () => ok(1)];
    expect(await outcome(anybody.get("/api/lottery/activities"))).toBe(1);
    expect(asked).toHaveLength(3);
  });

  test("is not repeated by itself where it writes", async () => {
    answers = [() => no(503, "UNAVAILABLE"), () => ok(1)];
    expect(await outcome(anybody.post("/api/lottery/draw", { body: {} }))).toBeInstanceOf(Refused);
    expect(asked).toHaveLength(1);
  });

  test("with no answer, or a proxy's page for one, has an unknown outcome", async () => {
    answers = [() => new Response("<html>Bad gateway</html>", { status: 502 })];
    expect(await outcome(anybody.post("/api/lottery/draw", { body: {} }))).toBeInstanceOf(Unanswered);
    expect(await outcome(anybody.post("/api/lottery/draw", { body: {} }))).toBeInstanceOf(Unanswered);
  });
});

describe("a call with a token", () => {
  const tokens = (renewed: string | null): Bearer => ({ token: async () => "old", renewed: async () => renewed });

  test("goes once more with a new one where the old is taken no longer", async () => {
    answers = [() => no(401, "UNAUTHENTICATED"), () => ok("mine")];
    const client = new Client(tokens("new"));
    expect(await outcome(client.get("/api/user/profile"))).toBe("mine");
    expect(asked.map((one) => one.headers.get("authorization"))).toEqual(["Bearer old", "Bearer new"]);
  });

  test("is refused where there is no new one", async () => {
    answers = [() => no(401, "UNAUTHENTICATED")];
    expect(await outcome(new Client(tokens(null)).get("/api/user/profile"))).toMatchObject({ reason: "UNAUTHENTICATED" });
    expect(asked).toHaveLength(1);
  });
});
