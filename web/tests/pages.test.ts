import { expect, test } from "vitest";
import paths from "../public/pages.json";
import pictures from "./screenshots.json";
import { areas, menu, router } from "@/router";

test("the edge knows the first part of every page's path", () => {
  const firsts = areas.flatMap((area) => area.routes.map((route) => route.path.split(/[/:(]/)[1] ?? ""));
  expect(firsts.length).toBeGreaterThan(0);
  expect(firsts.filter((first) => first !== "" && !paths.includes(first))).toEqual([]);
});

test("the menu leads to pages that there are", () => {
  expect(menu.filter((entry) => !router.hasRoute(entry.to))).toEqual([]);
});

test("pictures are taken of pages that there are, each under a name of its own", () => {
  const known = pictures.map(({ path }) => router.resolve(path.replace(/\{\w+\}/g, "1")).name);
  expect(known.filter((name) => name === "unknown")).toEqual([]);
  expect(new Set(pictures.map(({ name }) => name)).size).toBe(pictures.length);
});
