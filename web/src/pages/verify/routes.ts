import type { Area } from "@/router";

const area: Area = {
  menu: [{ order: 20, to: "verify", label: "shared.menu_verify" }],
  routes: [{ path: "/verify", name: "verify", component: () => import("./VerifyPage.vue"), meta: { title: "verify.title" } }],
};

export default area;
