import { shallowRef } from "vue";
import { createRouter, createWebHistory, type RouteRecordRaw } from "vue-router";
import { loadMessages } from "@/i18n";
import { usePlayer } from "@/session/session";

/** What an area gives in src/pages/AREA/routes.ts, as its default export. */
export interface Area {
  routes: RouteRecordRaw[];
  /** Its place in the main menu: the name of a route, and the message that names it, which every page shows: a shared one. */
  menu?: { order: number; to: string; label: string }[];
}

declare module "vue-router" {
  interface RouteMeta {
    /** Whose catalogue it needs. */
    area?: string;
    /** Only for players who are signed in; others come here again after signing in. */
    needsPlayer?: boolean;
    /** A layout of its own: the area draws its own frame. */
    bare?: boolean;
  }
}

const found = import.meta.glob<Area>("./pages/*/routes.ts", { import: "default", eager: true });

export const areas = Object.entries(found).map(([path, area]) => ({ name: path.split("/")[2] ?? "", ...area }));

export const menu = areas.flatMap((area) => area.menu ?? []).sort((a, b) => a.order - b.order);

const routes: RouteRecordRaw[] = areas.flatMap((area) =>
  area.routes.map((route) => ({ ...route, meta: { area: area.name, ...route.meta } }) as RouteRecordRaw),
);
routes.push({ path: "/:unknown(.*)*", name: "unknown", component: () => import("@/components/UnknownPage.vue") });

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
});

router.beforeEach(async (to) => {
  await loadMessages(to.meta.area);
  if (to.meta.needsPlayer && !usePlayer().isSignedIn) {
    return { name: "sign-in", query: { next: to.fullPath } };
  }
  return true;
});

/** Where a reader wanted to go, and whose page could not be fetched; "" when there is none. */
export const failedTo = shallowRef("");

router.onError((_error, to) => {
  failedTo.value = to.fullPath;
});
router.afterEach(() => {
  failedTo.value = "";
});
