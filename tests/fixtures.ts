/** Where golden fixtures lie: every case beside the checkout if it is there, else the copies in this folder. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const COPIES = fileURLToPath(new URL("./fixtures", import.meta.url));
const ALL = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));

/**
 * The directories of golden cases that tests hold the engines against, sorted by name: all cases of
 * `../shared/fixtures` where that folder exists, else one copied case per attention variant, so that a clone
 * on its own can run the suite. A case is a directory with `config.json` and `trajectory.json`.
 */
export function fixtureDirectories(): string[] {
  const all = casesIn(ALL);
  return all.length > 0 ? all : casesIn(COPIES);
}

/** The directory of one case by name, from the copies that every clone carries. */
export function copiedFixture(name: string): string {
  const directory = casesIn(COPIES).find((path) => basename(path) === name);
  if (directory === undefined) {
    throw new Error(`Cannot find the fixture "${name}" among the copies in ${COPIES}`);
  }
  return directory;
}

function casesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => existsSync(join(path, "config.json")) && existsSync(join(path, "trajectory.json")))
    .sort();
}

/** The directory of a GPT-2 as transformers writes it, with logits and a greedy continuation: `idx`, `logits`, `greedy`. */
export function hfFixture(name: "hf-gpt2-tiny" | "hf-gpt2-erf"): string {
  return fileURLToPath(new URL(`./hf_fixtures/${name}`, import.meta.url));
}
