import { useI18n } from "vue-i18n";

/** Numbers and times in the reader's language. */
export function useFormats() {
  const { locale } = useI18n();
  const numbers = (options: Intl.NumberFormatOptions, value: number) =>
    new Intl.NumberFormat(locale.value, options).format(value);

  return {
    whole: (value: number | string) => numbers({ maximumFractionDigits: 0 }, Number(value)),
    /** A chance, with three digits that say something: 12.5 %, 0.00031 %. */
    percent: (chance: number) => numbers({ style: "percent", maximumSignificantDigits: 3 }, chance),
    moment: (at: string | number) =>
      new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "short" }).format(new Date(at)),
    second: (at: string | number) => new Intl.DateTimeFormat(locale.value, { timeStyle: "medium" }).format(new Date(at)),
  };
}
