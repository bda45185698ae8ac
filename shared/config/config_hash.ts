import { canonicalHash } from "../hash.ts";
import { flattenValues } from "./key_values.ts";
import { configKeys, type RunConfig } from "./run_config.ts";

/**
 * SHA-256 of the keys that decide the bits of the weights, as 64 hex digits: equal for runs whose steps are the
 * same. A longer `max_iters` keeps it where `lr_decay_iters` says when the learning rate has come down.
 */
export function configHash(config: RunConfig): string {
  return canonicalHash(Object.fromEntries(numericsOf(config)));
}

/** As {@link configHash}, of what a command line asks for: what follows from the data is left out. */
export function askedHash(config: RunConfig): string {
  return canonicalHash(Object.fromEntries([...numericsOf(config)].filter(([name]) => name !== "vocab_size")));
}

/** The keys that enter {@link configHash} and their values, as far as they decide anything. */
export function numericsOf(config: RunConfig): Map<string, unknown> {
  const values = flattenValues({ ...config, lr_decay_iters: decayIters(config) }, "configuration");
  return new Map([...values].filter(([name]) => configKeys.get(name)?.numerics));
}

function decayIters({ decay_lr, lr_decay_iters, max_iters }: RunConfig): number | null {
  return decay_lr ? lr_decay_iters ?? max_iters : null;
}
