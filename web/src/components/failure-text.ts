import { useI18n } from "vue-i18n";
import { Refused, Unanswered, passes } from "@/api/failures";

export interface FailureText {
  what: string;
  advice: string;
  /** In the server's words, where they say more than the reason: which field, and why. */
  detail: string;
  mayRetry: boolean;
}

/** What an error means, in the reader's language: failures.REASON.what and .advice in the shared catalogue. */
export function useFailureText() {
  const { t, te } = useI18n();

  function known(name: string, values: Record<string, string>): Pick<FailureText, "what" | "advice"> {
    return { what: t(`failures.${name}.what`, values), advice: t(`failures.${name}.advice`, values) };
  }

  function textOf(error: unknown): FailureText {
    const mayRetry = passes(error);
    if (error instanceof Refused) {
      const values = { ...error.metadata, seconds: String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) };
      const name = te(`failures.${error.reason}.what`) ? error.reason : "INTERNAL";
      const detail = ["INVALID_ARGUMENT", "CONFLICT", "UNITS_BELOW_WON"].includes(error.reason) ? error.message : "";
      return { ...known(name, values), detail, mayRetry };
    }
    const name = error instanceof Unanswered ? "unanswered" : "unexpected";
    return { ...known(name, {}), detail: "", mayRetry };
  }

  return { textOf, t };
}
