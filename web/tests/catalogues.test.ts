import { describe, expect, test } from "vitest";
import openapi from "../../envoy/openapi.json";
import { LOCALES } from "@/i18n";

type Catalogue = { [key: string]: string | Catalogue };

const files = import.meta.glob<Catalogue>("../src/**/*.json", { import: "default", eager: true });
const sources = import.meta.glob<string>(["../src/**/*.{vue,ts}", "!../src/api/schema.ts"], { query: "?raw", import: "default", eager: true });
const folders = new Set(Object.keys(files).map((path) => path.replace(/[^/]+$/, "")));

function flat(tree: Catalogue, before = ""): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === "string" ? [[before + key, value] as const] : [...flat(value, `${before}${key}.`)],
    ),
  );
}

function catalogue(folder: string, locale: string): Map<string, string> {
  const file = files[`${folder}${locale}.json`];
  expect(file, `${folder}${locale}.json`).toBeDefined();
  return flat(file as Catalogue);
}

const english = () => new Map([...folders].flatMap((folder) => [...catalogue(folder, "en")]));

describe.each([...folders])("the catalogue %s", (folder) => {
  test.each(Object.keys(LOCALES))("in %s has every message, filled in alike", (locale) => {
    const expected = catalogue(folder, "en");
    const found = catalogue(folder, locale);
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    const holes = (text = "") => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, text] of found) {
      expect(text.trim(), key).not.toBe("");
      expect(holes(text), key).toEqual(holes(expected.get(key)));
      expect(text, `${key}: these signs mean something to vue-i18n`).not.toMatch(/[@|]/);
    }
  });

  test("keeps to names of its own", () => {
    const area = folder.match(/pages\/(\w+)\//)?.[1];
    const first = new Set([...catalogue(folder, "en").keys()].map((key) => key.split(".")[0]));
    expect([...first].sort()).toEqual(area ? [area] : ["failures", "shared"]);
  });
});

test("every reason of the API has words of its own", () => {
  const known = english();
  const reasons = openapi.components.schemas.Failure.properties.reason.enum;
  for (const reason of [...reasons, "unanswered", "unexpected"]) {
    expect(known.has(`failures.${reason}.what`) && known.has(`failures.${reason}.advice`), reason).toBe(true);
  }
});

test("every message that a page asks for by its name is there", () => {
  const known = english();
  const asked = Object.values(sources).flatMap((text) =>
    [...text.matchAll(/\bt\("([a-z_]+\.[\w.]+)"|(?:title|label): "([\w.]+)"/g)].map((match) => match[1] ?? match[2] ?? ""),
  );
  expect(asked.length).toBeGreaterThan(50);
  expect(asked.filter((key) => !known.has(key))).toEqual([]);
});
