import type { AdminEntry, AdminRoute } from "@/pages/admin/join";
import type { Area } from "@/router";

const area: Area = { routes: [] };

export default area;

export const adminRoutes: AdminRoute[] = [
  { path: "goods", name: "admin-goods", component: () => import("./GoodsListPage.vue"), meta: { title: "catalog.goods" } },
  {
    path: "goods/:id(\\d+|new)",
    name: "admin-goods-setup",
    component: () => import("./GoodsSetupPage.vue"),
    props: true,
    meta: { title: "catalog.new_goods" },
  },
  {
    path: "goods/:id(\\d+)/boxes",
    name: "admin-goods-boxes",
    component: () => import("./BoxesPage.vue"),
    props: true,
    meta: { title: "catalog.boxes" },
  },
  { path: "cards", name: "admin-cards", component: () => import("./CardsPage.vue"), meta: { title: "catalog.cards" } },
];

export const adminMenu: AdminEntry[] = [
  { group: "boxes", order: 10, to: "admin-goods", label: "catalog.goods" },
  { group: "boxes", order: 20, to: "admin-cards", label: "catalog.cards" },
];
