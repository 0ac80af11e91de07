// A client of Kuji, as somebody would write it with the types of envoy/openapi.json. It is compiled,
// not run: where the document no longer says what this takes for granted, it does not compile.
import createClient from "openapi-fetch";
import type { components, paths } from "./kuji";

const kuji = createClient<paths>({ baseUrl: "http://127.0.0.1:8080" });

type DrawResult = components["schemas"]["draw.DrawResult"];
type Reason = components["schemas"]["Failure"]["reason"];

export class Refused extends Error {
  constructor(
    readonly reason: Reason,
    readonly retryAfterMs: number | null,
  ) {
    super(reason);
  }
}

export async function logIn(username: string, password: string): Promise<string> {
  const { data, error } = await kuji.POST("/api/auth/login", { body: { username, password } });
  if (error) throw refused(error);
  return data.data.access_token;
}

export async function draw(token: string, activityId: string, requestId: string): Promise<DrawResult> {
  const { data, error } = await kuji.POST("/api/lottery/draw", {
    headers: { authorization: `Bearer ${token}` },
    body: { activity_id: activityId, request_id: requestId },
  });
  if (error) throw refused(error);
  return data.data;
}

// A miss has no prize: null, not left out.
export function prizeCode(result: DrawResult): string | null {
  return result.prize === null ? null : result.prize.prize_code;
}

export async function winners(page: number): Promise<string[]> {
  const { data, error } = await kuji.GET("/api/lottery/global-history", {
    params: { query: { page, page_size: 100 } },
  });
  if (error) throw refused(error);
  return data.data.winners.map((winner) => `${winner.user_name}: ${winner.prize_name}`);
}

// Null empties what may be empty.
export async function openEnd(token: string, activityId: string): Promise<string | null> {
  const { data, error } = await kuji.PUT("/admin/api/activities/{activity_id}", {
    headers: { authorization: `Bearer ${token}` },
    params: { path: { activity_id: activityId } },
    body: { end_time: null, status: "ongoing" },
  });
  if (error) throw refused(error);
  return data.data.end_time;
}

// The clients of the old system get a business failure as HTTP 200, told from success by status.
export async function useCard(token: string, goodsId: number, cardId: number): Promise<number> {
  const { data, error } = await kuji.POST("/api/blindbox/item_card_draw", {
    headers: { authorization: `Bearer ${token}` },
    body: { goods_id: goodsId, item_card_id: cardId },
  });
  if (error) throw refused(error);
  if (data.status === 0) throw new Refused(data.reason, null);
  return data.data.order_id;
}

function refused(failure: Pick<components["schemas"]["Failure"], "reason" | "metadata">): Refused {
  const after = failure.metadata?.["retry_after_ms"];
  return new Refused(failure.reason, after === undefined ? null : Number(after));
}

// What the contract forbids is no program.
// @ts-expect-error  a body holds no names that the contract does not know
export const misspelt: components["schemas"]["draw.DrawRequest"] = { requestid: "twice" };
// @ts-expect-error  a password is needed
export const short: components["schemas"]["auth.RegisterRequest"] = { username: "alice" };
// @ts-expect-error  a name cannot be empty
export const nameless: components["schemas"]["admin.UpdateActivityRequest"] = { name: null };
// @ts-expect-error  goods are of two types
export const bag: components["schemas"]["admin.CreateGoodsRequest"] = { title: "Bag", type: "lucky bag" };
