import type { NavigationGuard, RouteRecordRaw } from "vue-router";
import { loadMessages } from "@/i18n";
import type { Area } from "@/router";
import { joinedAreas, joinedMenu, joinedRoutes, type AdminEntry } from "./join";
import { useStaff, type Role } from "./staff";

declare module "vue-router" {
  interface RouteMeta {
    /** The least role of the staff that may see it; a viewer unless said. */
    staff?: Role;
  }
}

export const adminMenu: AdminEntry[] = [
  { group: "campaigns", order: 10, to: "admin-activities", label: "admin.menu_activities" },
  { group: "oversight", order: 10, to: "admin-approvals", label: "admin.menu_approvals" },
  ...joinedMenu,
];

const own: RouteRecordRaw[] = [
  {
    path: "activities",
    name: "admin-activities",
    component: () => import("./ActivitiesPage.vue"),
    meta: { title: "admin.menu_activities" },
  },
  {
    path: "activities/new",
    name: "admin-activity-new",
    component: () => import("./ActivityNewPage.vue"),
    meta: { title: "admin.new_activity", staff: "operator" },
  },
  {
    path: "activities/:id(\\d+)",
    name: "admin-activity",
    component: () => import("./ActivityPage.vue"),
    props: true,
    meta: { title: "admin.activity" },
  },
  {
    path: "activities/:id(\\d+)/settings",
    name: "admin-activity-settings",
    component: () => import("./ActivityEditPage.vue"),
    props: true,
    meta: { title: "admin.settings", staff: "operator" },
  },
  {
    path: "approvals",
    name: "admin-approvals",
    component: () => import("./ApprovalsPage.vue"),
    meta: { title: "admin.menu_approvals" },
  },
];

const signedIn: NavigationGuard = async (to) => {
  const { admin, may } = useStaff();
  await Promise.all(["admin", ...joinedAreas].map(loadMessages));
  if (!admin.isSignedIn) return { name: "admin-sign-in", query: { next: to.fullPath } };
  return may(to.meta.staff ?? "viewer") || { name: "admin-activities" };
};

const guarded = [...own, ...joinedRoutes].map((route) => ({ ...route, beforeEnter: signedIn }) as RouteRecordRaw);

const area: Area = {
  routes: [
    {
      path: "/admin/sign-in",
      name: "admin-sign-in",
      component: () => import("./AdminSignInPage.vue"),
      meta: { title: "admin.sign_in_title", bare: true },
    },
    {
      path: "/admin",
      component: () => import("./AdminLayout.vue"),
      meta: { bare: true },
      children: [{ path: "", redirect: { name: "admin-activities" } }, ...guarded],
    },
  ],
};

export default area;
