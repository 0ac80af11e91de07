import { useI18n } from "vue-i18n";

/** Amounts of money in the reader's language; which money it is, the shop knows. */
export function useAmounts(): (value: number | string) => string {
  const { locale } = useI18n();
  return (value) =>
    new Intl.NumberFormat(locale.value, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(Number(value));
}
