import { resolveTrainConfig } from "../../coordinator/cli/resolve_train_config.ts";
import { trainRun } from "../../coordinator/cli/train_run.ts";
import { type Sandbox, TINY } from "./support.ts";

export interface TinySweep {
  readonly seeds: readonly number[];
  /** Keys of the configuration that are set otherwise. */
  readonly keys?: Readonly<Record<string, number>>;
}

/** A sweep's file: the tiny model with each of the seeds. */
export function tinySweep({ seeds, keys = {} }: TinySweep): string {
  const [preset, ...options] = TINY;
  const config = new Map([
    ...options.map((option) => option.slice("--".length).split("=")),
    ...Object.entries(keys),
  ].map(([name, value]) => [name, value]));
  return [
    `preset = "${preset}"`,
    `seeds = [${seeds}]`,
    "[config]",
    ...[...config].map(([name, value]) => `${name} = ${value}`),
  ].join("\n");
}

/** Trains in this process in the folder `name` of a sandbox, and gives the SHA-256 of the weights. */
export async function trainHere(
  box: Sandbox,
  { name, words }: { name: string; words: readonly string[] },
): Promise<string> {
  const all = [...TINY, "--nproc_per_node=1", `--out_dir=${box.path(name)}`, ...words];
  const { config, preset } = await resolveTrainConfig(all, { environment: {} });
  await trainRun({ config, preset });
  return await box.weights(name);
}
