import { LockstepError } from "../../errors.ts";
import { copyRepeat } from "./copy_repeat.ts";
import { induction } from "./induction.ts";
import { ioi } from "./ioi.ts";
import { kvRetrieval } from "./kv_retrieval.ts";
import { multiplication } from "./multiplication.ts";
import type { Probe, ProbeShape } from "./probe.ts";

export const PROBE_NAMES = ["induction", "kv_retrieval", "copy_repeat", "multiplication", "ioi"] as const;

export type ProbeName = typeof PROBE_NAMES[number];

/** How a probe is made, and what it needs at least. */
interface ProbeEntry {
  make(shape: ProbeShape): Probe;
  readonly least: ProbeShape;
  /** How many different values an item of that length has. */
  different(length: number): number;
}

const PROBES: Record<ProbeName, ProbeEntry> = {
  induction: { make: induction, least: { length: 2, values: 2 }, different: (length) => length },
  kv_retrieval: { make: kvRetrieval, least: { length: 2, values: 2 }, different: (length) => length },
  copy_repeat: { make: copyRepeat, least: { length: 4, values: 2 }, different: () => 0 },
  multiplication: { make: multiplication, least: { length: 2, values: 2 }, different: () => 0 },
  ioi: { make: ioi, least: { length: 1, values: 2 }, different: (length) => 2 * length },
};

export function isProbe(name: string): name is ProbeName {
  return Object.hasOwn(PROBES, name);
}

/** A probe by its name. Throws E_CONFIG for sizes that make no items, or too few different ones. */
export function openProbe(name: ProbeName, shape: ProbeShape): Probe {
  const { make, least, different } = PROBES[name];
  const values = Math.max(least.values, different(shape.length));
  if (shape.length >= least.length && shape.values >= values) return make(shape);
  throw new LockstepError(
    "E_CONFIG",
    `Cannot make items of ${name} as probe.length must be at least ${least.length} and probe.values at least ${values} ` +
      `for it: they are ${shape.length} and ${shape.values}`,
  );
}
