import type { Client } from "@/api/client";
import { Refused } from "@/api/failures";
import type { components } from "@/api/schema";

type Schemas = components["schemas"];
export type Activity = Schemas["admin.Activity"];
export type Prize = Schemas["admin.Prize"];
export type Statistics = Schemas["admin.GetStatisticsResponse"];
export type ActivityStatistics = Schemas["admin.ActivityStatistics"];
export type PrizeStatistics = Schemas["admin.PrizeStatistics"];

const PAGE_SIZE = 100;

export const TONES: Readonly<Record<string, string>> = { ongoing: "good", paused: "warm", planned: "cool", ended: "" };

/** Whether draws may have been made, so that odds are no longer the operator's own affair. */
export function hasBegun({ status }: Pick<Activity, "status">): boolean {
  return status !== "planned";
}

/** One activity: the API has them in pages alone. */
export async function activityOf(client: Client, id: string, signal?: AbortSignal): Promise<Activity> {
  for (let page = 1; ; page++) {
    const query = { page, page_size: PAGE_SIZE };
    const got = await client.get("/admin/api/activities", { query, ...(signal ? { signal } : {}) });
    const found = got.activities.find((one) => one.activity_id === id);
    if (found) return found;
    if (!got.has_more) throw new Refused(404, "ACTIVITY_NOT_FOUND", "no such activity");
  }
}

/** All prizes of an activity that are still in it. */
export async function prizesOf(client: Client, id: string, signal?: AbortSignal): Promise<Prize[]> {
  const all: Prize[] = [];
  for (let page = 1; ; page++) {
    const query = { activity_id: id, page, page_size: PAGE_SIZE } as never;
    const got = await client.get("/admin/api/prizes", { query, ...(signal ? { signal } : {}) });
    all.push(...got.prizes);
    if (!got.has_more) return all.filter((one) => !one.is_deleted);
  }
}
