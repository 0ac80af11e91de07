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
    /** A span of time, in the largest unit that it is a whole number of. */
    span: (seconds: number) => {
      const [unit, size] = ([["hour", 3600], ["minute", 60]] as const).find(([, one]) => seconds % one === 0) ?? ["second", 1];
      return numbers({ style: "unit", unit, unitDisplay: "long" }, seconds / size);
    },
    moment: (at: string | number) =>
      new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "short" }).format(new Date(at)),
    second: (at: string | number) => new Intl.DateTimeFormat(locale.value, { timeStyle: "medium" }).format(new Date(at)),
  };
}
