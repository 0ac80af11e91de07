import { expect, test } from "vitest";
import paths from "../public/pages.json";
import { areas, menu, router } from "@/router";

test("the edge knows the first part of every page's path", () => {
  const firsts = areas.flatMap((area) => area.routes.map((route) => route.path.split(/[/:(]/)[1] ?? ""));
  expect(firsts.length).toBeGreaterThan(0);
  expect(firsts.filter((first) => first !== "" && !paths.includes(first))).toEqual([]);
});

test("the menu leads to pages that there are", () => {
  expect(menu.filter((entry) => !router.hasRoute(entry.to))).toEqual([]);
});
