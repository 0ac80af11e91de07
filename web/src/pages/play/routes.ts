import type { Area } from "@/router";

const area: Area = {
  menu: [
    { order: 10, to: "activities", label: "shared.menu_activities" },
    { order: 40, to: "prizes", label: "shared.menu_prizes" },
  ],
  routes: [
    { path: "/", name: "activities", component: () => import("./HomePage.vue") },
    {
      path: "/activities/:id(\\d+)",
      name: "activity",
      component: () => import("./ActivityPage.vue"),
      props: true,
    },
    { path: "/sign-in", name: "sign-in", component: () => import("./SignInPage.vue"), meta: { title: "play.sign_in_title" } },
    {
      path: "/prizes",
      name: "prizes",
      component: () => import("./PrizesPage.vue"),
      meta: { title: "shared.menu_prizes", needsPlayer: true },
    },
    {
      path: "/account",
      name: "account",
      component: () => import("./AccountPage.vue"),
      meta: { title: "play.account_title", needsPlayer: true },
    },
  ],
};

export default area;
