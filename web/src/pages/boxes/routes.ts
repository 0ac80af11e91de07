import type { Area } from "@/router";

const area: Area = {
  menu: [{ order: 30, to: "boxes", label: "shared.menu_boxes" }],
  routes: [
    { path: "/boxes", name: "boxes", component: () => import("./WallPage.vue"), meta: { title: "shared.menu_boxes" } },
    {
      path: "/boxes/mine",
      name: "my-boxes",
      component: () => import("./MinePage.vue"),
      meta: { title: "boxes.mine", needsPlayer: true },
    },
    // Nothing leads here: who tries the shop out knows its address.
    {
      path: "/boxes/play-shop",
      name: "play-shop",
      component: () => import("./PlayShopPage.vue"),
      meta: { title: "boxes.shop", needsPlayer: true },
    },
    {
      path: "/boxes/:goods(\\d+)/:num(\\d+)",
      name: "box",
      component: () => import("./BoxPage.vue"),
      props: true,
    },
  ],
};

export default area;
