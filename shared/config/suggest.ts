import { closest } from "fastest-levenshtein";

/** The end of a refusal of an unknown name: the nearest of the `known` ones. */
export function suggest(name: string, known: Iterable<string>): string {
  const names = [...known];
  return names.length === 0
    ? "nothing of that kind is known"
    : `the nearest known is ${closest(name, names)}`;
}
