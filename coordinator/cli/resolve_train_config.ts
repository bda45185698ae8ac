import { readOverrides } from "../../shared/config/overrides.ts";
import { type ResolvedConfig, resolveRunConfig } from "../../shared/config/resolve_run_config.ts";
import { openRunDir } from "../../shared/run_dir.ts";

/**
 * What `train WORDS` means. A resumed run goes on with the configuration it was started with; keys of the command line
 * stand above it.
 */
export async function resolveTrainConfig(
  words: readonly string[],
  { otherNames = [] }: { otherNames?: readonly string[] } = {},
): Promise<ResolvedConfig> {
  const first = await resolveRunConfig(words, { otherNames });
  const { preset, config: { init_from, out_dir } } = first;
  if (init_from !== "resume") return first;
  const run = await openRunDir({ out_dir, preset });
  const { overrides } = readOverrides(words, otherNames);
  const names = new Set(overrides.map(({ name }) => name));
  // One of the two that is given alone leaves the other open: the run's own may not go with it.
  const open = names.has("engine") === names.has("device") ? [] : ["--engine=auto", "--device=auto"];
  const resolved = await resolveRunConfig([
    run.config,
    ...open,
    ...overrides.map(({ name, value }) => keyWord(name, value)),
  ]);
  const { config, given } = resolved;
  // The run's data are prepared already; other data are prepared anew, and refused unless they are the same.
  const data_dir = given.has("data") && !given.has("data_dir") ? null : config.data_dir;
  return { ...resolved, preset, config: { ...config, out_dir: run.path, data_dir } };
}

/** A key and its value as a word of the command line: `--reflex.heads=[2,2,2]`. */
export function keyWord(key: string, value: unknown): string {
  if (value === null) return `--${key}=none`;
  return `--${key}=${typeof value === "string" ? value : JSON.stringify(value)}`;
}
