import { useI18n } from "vue-i18n";

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const;

/** Between the marks of an axis of seconds. */
export const SPAN_STEPS = [1, 5, 10, 30, ...[1, 5, 10, 30].map((n) => 60 * n), ...[1, 2, 3, 6, 12].map((n) => 3600 * n), ...[1, 2, 5, 10, 20, 30, 60, 120].map((n) => 86_400 * n)];

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
