import { useI18n } from "vue-i18n";
import type { Finding } from "@/proof/findings";

/** What was found, as a sentence in the reader's language. */
export function useFindingText() {
  const { t } = useI18n();

  function ofDifferences(fields: Extract<Finding, { kind: "differs" }>["fields"]): string {
    return fields
      .map(({ field, recorded, follows }) => t("verify.f_differs", { part: t(`verify.part_${field}`), recorded, follows }))
      .join(" ");
  }

  function findingText(finding: Finding): string {
    const { kind } = finding;
    if (kind === "differs") return ofDifferences(finding.fields);
    if (kind === "refused") return t("verify.f_refused", { why: t(`verify.why_${finding.code}`, { n: finding.detail }) });
    if (kind === "config_refused") return t(`verify.f_config_${finding.code.toLowerCase()}`, { version: finding.version });
    return t(`verify.f_${kind}`, { ...finding });
  }

  return { findingText };
}
