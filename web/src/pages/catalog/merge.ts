/** A field that two editors see differently. */
export interface Difference {
  field: string;
  before: unknown;
  theirs: unknown;
  yours: unknown;
  /** Both changed it: somebody has to choose. Else what was changed by one of them holds. */
  isClash: boolean;
}

export type Choice = "theirs" | "yours";

/** What became of one thing in two hands: from where both began, to what is stored now and what this form says. */
export function differences(before: object, theirs: object, yours: object, fields: readonly string[]): Difference[] {
  const value = (of: object, field: string) => (of as Record<string, unknown>)[field];
  return fields
    .map((field) => ({ field, before: value(before, field), theirs: value(theirs, field), yours: value(yours, field) }))
    .filter((one) => one.theirs !== one.before || one.yours !== one.before)
    .map((one) => ({ ...one, isClash: one.theirs !== one.before && one.yours !== one.before && one.theirs !== one.yours }));
}

/** What holds where nobody chooses: the change of whoever made one; of two, theirs, which is stored already. */
export function choiceFor({ before, theirs }: Difference): Choice {
  return theirs === before ? "yours" : "theirs";
}

/** The fields as chosen. */
export function merged(found: readonly Difference[], choices: Readonly<Record<string, Choice>>): Record<string, unknown> {
  return Object.fromEntries(found.map((one) => [one.field, one[choices[one.field] ?? choiceFor(one)]]));
}
