import { expect, test } from "vitest";
import paths from "../public/pages.json";
import pictures from "./screenshots.json";
import { areas, failedTo, menu, router } from "@/router";

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

test("who wants a page that cannot be fetched is told, until another one comes", async () => {
  router.addRoute({ path: "/gone", name: "gone", component: () => Promise.reject(new Error("no such file")) });
  await expect(router.push("/gone?of=1")).rejects.toThrow("no such file");
  expect(failedTo.value).toBe("/gone?of=1");
  router.removeRoute("gone");
  await router.push("/sign-in");
  expect(failedTo.value).toBe("");
});
