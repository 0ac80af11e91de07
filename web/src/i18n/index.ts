import { createI18n } from "vue-i18n";
import { keptRef } from "@/session/kept";
import { watch } from "vue";

export const LOCALES = { en: "English", "zh-CN": "简体中文", ja: "日本語" } as const;
export type Locale = keyof typeof LOCALES;
type Catalogue = Record<string, unknown>;

// Of every area: src/pages/AREA/i18n/LOCALE.json, whose names begin with the area's own; and what all share, here.
const areas = import.meta.glob<Catalogue>("../pages/*/i18n/*.json", { import: "default" });
const shared = import.meta.glob<Catalogue>("./*.json", { import: "default" });

function preferred(): Locale {
  for (const wanted of navigator.languages) {
    const language = wanted.toLowerCase().split("-")[0];
    if (language === "zh") return "zh-CN";
    if (language === "ja") return "ja";
    if (language === "en") return "en";
  }
  return "en";
}

const chosen = keptRef<Locale | null>("kuji.locale", null);

export const i18n = createI18n({
  legacy: false,
  locale: chosen.value && chosen.value in LOCALES ? chosen.value : preferred(),
  fallbackLocale: "en",
  messages: {},
  missingWarn: import.meta.env.DEV,
  fallbackWarn: false,
});

const wanted = new Set<string>([""]);
const loaded = new Map<string, Promise<void>>();

function load(area: string, locale: Locale): Promise<void> {
  const path = area ? `../pages/${area}/i18n/${locale}.json` : `./${locale}.json`;
  const known = loaded.get(path);
  if (known) return known;
  const read = (area ? areas : shared)[path];
  const done = read ? read().then((messages) => i18n.global.mergeLocaleMessage(locale, messages)) : Promise.resolve();
  loaded.set(path, done);
  done.catch(() => loaded.delete(path));
  return done;
}

/** Loads an area's catalogue in the language that is shown; "" is what all areas share. */
export async function loadMessages(area = ""): Promise<void> {
  wanted.add(area);
  await loadAll(i18n.global.locale.value as Locale);
}

async function loadAll(locale: Locale): Promise<void> {
  await Promise.all([...wanted].map((one) => load(one, locale)));
}

export async function setLocale(locale: Locale): Promise<void> {
  chosen.value = locale; // whoever leaves before it is shown has chosen it all the same
  await loadAll(locale);
  if (chosen.value !== locale) return; // another was chosen meanwhile
  i18n.global.locale.value = locale;
  await loadMessages(); // of an area that was entered meanwhile
}

watch(
  i18n.global.locale,
  (locale) => {
    document.documentElement.lang = locale;
  },
  { immediate: true },
);
