import { numericsOf } from "../../shared/config/config_hash.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";

/** What makes a run another one: the keys that decide its weights, with the model's module and what it starts from. */
export type RunIdentity = Readonly<Record<string, unknown>>;

/** The identity of a run with this configuration, by key. */
export function identityOf(config: RunConfig): RunIdentity {
  const { model, init_from } = config;
  return { ...Object.fromEntries(numericsOf(config)), model, init_from };
}

/** Where two runs are not the same: `n_embd was 96 and is 128`, by key of `wanted`. */
export function differencesBetween(found: RunIdentity, wanted: RunIdentity): string[] {
  return Object.keys(wanted)
    .map((key) => ({ key, was: textOf(found[key]), is: textOf(wanted[key]) }))
    .filter(({ was, is }) => was !== is)
    .map(({ key, was, is }) => `${key} was ${was} and is ${is}`);
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? "not there";
}
