import { LockstepError } from "../../shared/errors.ts";
import { readMetrics } from "../../shared/metrics.ts";
import type { ChaosCase } from "./case.ts";
import { whyNot } from "./needs.ts";
import { CaseFailed, expect, Scenario } from "./scenario.ts";

/** What a case came to, a line of the command's output. */
export interface CaseResult {
  readonly case: number;
  readonly name: string;
  /** Null where it could not be run here. */
  readonly pass: boolean | null;
  readonly seconds: number;
  /** SHA-256 of the final weights, and of those of a run that nothing disturbs; null where there are none. */
  readonly hash: string | null;
  readonly expected_hash: string | null;
  /** Why it failed or was not run; otherwise what was measured. */
  readonly reason: string;
}

/** A run that nothing disturbs. */
export interface Reference {
  readonly hash: string;
  /** Its slowest step, in ms. */
  readonly stepMs: number;
}

/** Runs that nothing disturbs, each once, by their configuration. */
export class References {
  readonly #known = new Map<string, Promise<Reference>>();

  of(words: readonly string[]): Promise<Reference> {
    const key = words.join(" ");
    const known = this.#known.get(key) ?? trainUndisturbed(words);
    this.#known.set(key, known);
    return known;
  }
}

export interface RunCaseOptions {
  readonly references: References;
  /** Whether the folder of a case that fails stays, to look into. */
  readonly keep?: boolean;
  /** Ends the case, and all that it has started. */
  readonly signal?: AbortSignal;
}

/** Runs a case and judges it. Never rejects. */
export async function runCase(
  given: ChaosCase,
  { references, keep = false, signal }: RunCaseOptions,
): Promise<CaseResult> {
  const { number, name, needs = [] } = given;
  const missing = await whyNot(needs);
  const empty = { case: number, name, hash: null, expected_hash: null };
  if (missing !== null) return { ...empty, pass: null, seconds: 0, reason: missing };
  let hash: string | null = null;
  let expected: Reference | null = null;
  let began = Date.now();
  const result = (pass: boolean, reason: string): CaseResult => ({
    ...empty,
    pass,
    seconds: (Date.now() - began) / 1000,
    hash,
    expected_hash: expected?.hash ?? null,
    reason,
  });
  try {
    expected = await references.of(given.words);
    began = Date.now();
    const { words, paceMs } = given;
    await using scenario = await Scenario.make({ words, paceMs, stepMs: expected.stepMs, signal });
    try {
      await given.run(scenario);
      hash = await scenario.weights();
      expect(hash === expected.hash, `the weights are other ones; ${scenario.notes.join("; ")}`);
      await scenario.proves(stepsOf(words));
      return result(true, scenario.notes.join("; "));
    } catch (error) {
      const isForeseen = error instanceof CaseFailed || error instanceof LockstepError;
      const reason = isForeseen ? error.message : `${error instanceof Error ? error.stack : error}`;
      return result(false, keep ? `${reason}; kept in ${scenario.keep()}` : reason);
    }
  } catch (error) {
    return result(false, `the undisturbed run failed: ${error instanceof Error ? error.message : error}`);
  }
}

async function trainUndisturbed(words: readonly string[]): Promise<Reference> {
  await using scenario = await Scenario.make({ words, paceMs: 0, stepMs: 0 });
  await scenario.ends(scenario.train({ workers: 1 }));
  let stepMs = 0;
  for await (const { step, dt_ms } of readMetrics(scenario.path("run", "metrics.jsonl"))) {
    if (step > 0) stepMs = Math.max(stepMs, dt_ms ?? 0);
  }
  return { hash: await scenario.weights(), stepMs };
}

function stepsOf(words: readonly string[]): number {
  const [, steps] = words.map((word) => /^--max_iters=(\d+)$/.exec(word)).find((found) => found !== null) ??
    [];
  return Number(steps);
}
