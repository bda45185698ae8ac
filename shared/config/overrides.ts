import { LockstepError } from "../errors.ts";
import { readTruth, readWord } from "./field_values.ts";
import { foreignNames, ignoreForeign } from "./foreign_names.ts";
import { keyNamed } from "./key_values.ts";
import { configKeys } from "./run_config.ts";

/** One key set on the command line. */
export interface Override {
  readonly name: string;
  readonly value: unknown;
  /** As it stood: `--n_head=5`. */
  readonly words: string;
}

/** A command line, read: what is no option, what sets a key, in order, and what a person should know. */
export interface Overrides {
  readonly positionals: string[];
  readonly overrides: Override[];
  readonly notes: string[];
}

/** An option as it is written: a name, and what stands behind it, the text of `--name=value` or a flag's truth. */
interface Option {
  readonly name: string;
  readonly given: string | boolean;
  readonly words: readonly string[];
}

/**
 * Reads `--key=value`, `--key value`, `--flag` and `--no-flag`, dashes and underscores alike. Values are checked one
 * by one (E_CONFIG), unknown names are refused with the nearest known, of `otherNames` too; the names of nanoGPT
 * and torchrun that mean nothing here become notes or refusals. `model` stays a text, as it may name a preset.
 */
export function readOverrides(words: readonly string[], otherNames: readonly string[] = []): Overrides {
  const positionals: string[] = [];
  const overrides: Override[] = [];
  const notes: string[] = [];
  for (let at = 0; at < words.length;) {
    if (!words[at].startsWith("-")) {
      positionals.push(words[at++]);
      continue;
    }
    const option = readOption(words[at], { next: words[at + 1], otherNames });
    const foreign = foreignNames.get(option.name);
    if (foreign !== undefined) notes.push(ignoreForeign(option.name, foreign));
    else overrides.push({ name: option.name, value: valueOf(option), words: option.words.join(" ") });
    at += option.words.length;
  }
  return { positionals, overrides, notes };
}

function readOption(
  word: string,
  { next, otherNames }: { next: string | undefined; otherNames: readonly string[] },
): Option {
  const [, spelled, value] = /^--([A-Za-z][\w.-]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (spelled === undefined) {
    throw new LockstepError("E_CONFIG", `Cannot read ${word} as an option must be written --key=value`);
  }
  const name = spelled.replaceAll("-", "_");
  if (value !== undefined) {
    return { name: knownName(name, { word, otherNames }), given: value, words: [word] };
  }
  if (/^no_/.test(name) && isFlag(name.slice(3))) return { name: name.slice(3), given: false, words: [word] };
  knownName(name, { word, otherNames });
  if (isFlag(name) && (next === undefined || readTruth(next) === undefined)) {
    return { name, given: true, words: [word] };
  }
  if (next === undefined || next.startsWith("--")) {
    throw new LockstepError("E_CONFIG", `Cannot read ${word} as a value must follow: write ${word}=value`);
  }
  return { name, given: next, words: [word, next] };
}

function knownName(
  name: string,
  { word, otherNames }: { word: string; otherNames: readonly string[] },
): string {
  return foreignNames.has(name) ? name : keyNamed(name, { source: word, otherNames }).name;
}

function isFlag(name: string): boolean {
  return foreignNames.get(name)?.flag ?? typeof configKeys.get(name)?.default === "boolean";
}

function valueOf({ name, given, words }: Option): unknown {
  if (name === "model" || typeof given === "boolean") return given;
  return readWord(keyNamed(name, { source: words.join(" ") }), given);
}
