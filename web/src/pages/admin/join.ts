/**
 * How an area joins the administration. Its src/pages/AREA/routes.ts exports, beside its default (`{ routes: [] }` will do):
 *
 *   export const adminRoutes: AdminRoute[] = [
 *     { path: "goods", name: "admin-goods", component: () => import("./GoodsPage.vue"), meta: { title: … } },
 *   ];
 *   export const adminMenu: AdminEntry[] = [{ group: "boxes", order: 10, to: "admin-goods", label: … }];
 *
 * Paths are below /admin/. The pages stand within AdminLayout, and only for those who are signed in; `meta.staff` is the
 * least role that may see a page (viewer unless said), and `useStaff().may("operator")` tells what to offer on it. A page
 * begins with `<AdminPage :title>`. Calls go through `useAdmin().client`. Element Plus has the colours of tokens.css here:
 * import its components one by one, and the plain CSS file of each.
 */
import type { RouteRecordRaw } from "vue-router";
import type { Role } from "./staff";

export type AdminRoute = RouteRecordRaw;

/** Its headings, in this order. */
export const GROUPS = ["campaigns", "boxes", "oversight"] as const;

/** A line of the side navigation. */
export interface AdminEntry {
  group: (typeof GROUPS)[number];
  order: number;
  /** The name of a route. */
  to: string;
  /** The message that names it. */
  label: string;
  /** The least role that finds it there; a viewer unless said. */
  staff?: Role;
}

interface Joined {
  adminRoutes?: AdminRoute[];
  adminMenu?: AdminEntry[];
}

const found = import.meta.glob<Joined>(["../*/routes.ts", "!../admin/routes.ts"], { eager: true });
const joined = Object.entries(found)
  .map(([path, area]) => ({ name: path.split("/")[1] ?? "", ...area }))
  .filter((area) => area.adminRoutes);

/** Areas whose catalogues the navigation needs. */
export const joinedAreas = joined.map((area) => area.name);

/** Their pages, each with its own area's catalogue. */
export const joinedRoutes: AdminRoute[] = joined.flatMap((area) =>
  (area.adminRoutes ?? []).map((route) => ({ ...route, meta: { area: area.name, ...route.meta } }) as AdminRoute),
);

export const joinedMenu: AdminEntry[] = joined.flatMap((area) => area.adminMenu ?? []);
