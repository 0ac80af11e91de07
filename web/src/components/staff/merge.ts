export type Choice = "mine" | "theirs";
export type Fields = Readonly<Record<string, unknown>>;

/** A field that two editors see differently. */
export interface Difference {
  field: string;
  base: unknown;
  mine: unknown;
  theirs: unknown;
  /** Who changed it: both is a real conflict, to be decided by somebody. */
  changedBy: "me" | "them" | "both";
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** Where `mine` and `theirs` differ; both began with `base`. */
export function differences(base: Fields, mine: Fields, theirs: Fields): Difference[] {
  return Object.keys(mine)
    .filter((field) => !same(mine[field], theirs[field]))
    .map((field) => {
      const iDid = !same(mine[field], base[field]);
      const theyDid = !same(theirs[field], base[field]);
      const changedBy = iDid && theyDid ? "both" : iDid ? "me" : "them";
      return { field, base: base[field], mine: mine[field], theirs: theirs[field], changedBy };
    });
}

/** What of `mine` is not as it was in `base`. */
export function changes(base: Fields, mine: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mine).filter(([field, value]) => !same(value, base[field])));
}

/** Theirs, with mine where it is chosen. */
export function merged<T extends Fields>(theirs: T, mine: T, chosen: Readonly<Record<string, Choice>>): T {
  const taken = Object.entries(chosen).filter(([, whose]) => whose === "mine");
  return { ...theirs, ...Object.fromEntries(taken.map(([field]) => [field, mine[field]])) };
}

/** What holds where nobody chooses: the change of whoever made one; of two, theirs, which is stored already. */
export function choiceFor({ changedBy }: Difference): Choice {
  return changedBy === "me" ? "mine" : "theirs";
}

/** The fields that differ, as chosen. */
export function picked(found: readonly Difference[], chosen: Readonly<Record<string, Choice>>): Record<string, unknown> {
  return Object.fromEntries(found.map((one) => [one.field, one[chosen[one.field] ?? choiceFor(one)]]));
}
