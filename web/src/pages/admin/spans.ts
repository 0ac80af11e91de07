import { useI18n } from "vue-i18n";

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const;

/** Lengths of time in the reader's language: 3 hr, 20 min. */
export function useSpans() {
  const { locale } = useI18n();
  function span(seconds: number): string {
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? UNITS[3];
    const options: Intl.NumberFormatOptions = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: size > 60 ? 1 : 0 };
    return new Intl.NumberFormat(locale.value, options).format(seconds / size);
  }
  return { span };
}
