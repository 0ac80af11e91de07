import type { AdminEntry, AdminRoute } from "@/pages/admin/join";
import type { Area } from "@/router";

const area: Area = { routes: [] };

export default area;

export const adminRoutes: AdminRoute[] = [
  { path: "records", name: "admin-records", component: () => import("./DrawRecordsPage.vue"), meta: { title: "records.records" } },
  { path: "records/boxes", name: "admin-box-records", component: () => import("./BoxRecordsPage.vue"), meta: { title: "records.of_boxes" } },
  { path: "blocks", name: "admin-blocks", component: () => import("./BlocksPage.vue"), meta: { title: "records.blocks" } },
  { path: "audit", name: "admin-audit", component: () => import("./AuditPage.vue"), meta: { title: "records.audit" } },
];

export const adminMenu: AdminEntry[] = [
  { group: "oversight", order: 20, to: "admin-records", label: "records.records" },
  { group: "oversight", order: 30, to: "admin-blocks", label: "records.blocks" },
  { group: "oversight", order: 40, to: "admin-audit", label: "records.audit" },
];
