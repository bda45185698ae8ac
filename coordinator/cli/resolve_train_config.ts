import { readOverrides } from "../../shared/config/overrides.ts";
import { type ResolvedConfig, resolveRunConfig } from "../../shared/config/resolve_run_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import type { OnProgress } from "../../shared/progress.ts";
import { clearFalseStart, findRunDir, openRunDir, type RunDir } from "../../shared/run_dir.ts";
import { adoptWeights } from "./adopt_weights.ts";
import { type Environment, type Launch, readLaunch } from "../launch/environment.ts";

/** What a command line means where it is given. */
export interface TrainConfig extends ResolvedConfig {
  /** Who has started this process. */
  readonly launcher: Launch["launcher"];
}

export interface ResolveTrainOptions {
  readonly otherNames?: readonly string[];
  /** Whether nothing is to be started, so that nothing is cleared away either. */
  readonly onlyLooks?: boolean;
  /** This process's environment unless a test gives another. */
  readonly environment?: Environment;
  /** Told of weights that are fetched. */
  readonly onProgress?: OnProgress;
}

/**
 * What `train WORDS` means: where no word decides how it is launched, the launcher's environment does. A resumed run goes on
 * with the configuration it was started with; keys of the command line stand above it. `--init_from=auto` becomes `resume`
 * where there is a run to resume, else `scratch`; a job that its launcher starts again resumes too. Weights to start from bring
 * their model along: see `adoptWeights`.
 */
export async function resolveTrainConfig(
  words: readonly string[],
  { otherNames = [], onlyLooks = false, environment = Deno.env.toObject(), onProgress }: ResolveTrainOptions =
    {},
): Promise<TrainConfig> {
  const first = await resolveRunConfig(words, { otherNames });
  const { preset } = first;
  const out_dir = first.given.has("out_dir") ? first.config.out_dir : null;
  const { launcher, decides, restarts } = readLaunch(environment, { preset, out_dir });
  const launched = (resolved: ResolvedConfig) => launchedBy(decides, resolved);
  const config = launched(first);
  const run = await runToResume(config, { preset, restarts, onlyLooks });
  if (run === null) {
    const init_from = config.init_from === "auto" ? "scratch" : config.init_from;
    const adopted = await adoptWeights({ ...config, init_from }, { given: first.given, onProgress });
    return { ...first, config: adopted.config, notes: [...first.notes, ...adopted.notes], launcher };
  }
  const { overrides } = readOverrides(words, otherNames);
  const names = new Set(overrides.map(({ name }) => name));
  // One of the two that is given alone leaves the other open: the run's own may not go with it.
  const open = names.has("engine") === names.has("device") ? [] : ["--engine=auto", "--device=auto"];
  const resolved = await resolveRunConfig([
    run.config,
    ...open,
    ...overrides.map(({ name, value }) => keyWord(name, value)),
  ]);
  // The run's data are prepared already; other data are prepared anew, and refused unless they are the same.
  const data_dir = resolved.given.has("data") && !resolved.given.has("data_dir")
    ? null
    : resolved.config.data_dir;
  const resumed = { ...launched(resolved), init_from: "resume", out_dir: run.path, data_dir };
  return { ...resolved, preset, config: resumed, launcher };
}

/** The run that a configuration goes on with; null where it starts one. */
async function runToResume(
  { init_from, out_dir, node_rank }: RunConfig,
  { preset, restarts, onlyLooks }: { preset: string; restarts: boolean; onlyLooks: boolean },
): Promise<RunDir | null> {
  if (init_from === "resume") return await openRunDir({ out_dir, preset });
  if (init_from !== "auto" && !restarts) return null;
  const found = await findRunDir({ out_dir, preset });
  const leads = !onlyLooks && (node_rank ?? 0) === 0;
  if (found === null && out_dir !== null && leads) await clearFalseStart(out_dir);
  return found;
}

/** What the command line does not decide is the launcher's to say. */
function launchedBy(decides: Launch["decides"], { config, given }: ResolvedConfig): RunConfig {
  const isMet = given.has("rdzv_endpoint");
  const open = Object.entries(decides).filter(([key, value]) =>
    value !== undefined && !given.has(key) && !(isMet && key.startsWith("master_"))
  );
  return { ...config, ...Object.fromEntries(open) };
}

/** A key and its value as a word of the command line: `--reflex.heads=[2,2,2]`. */
export function keyWord(key: string, value: unknown): string {
  if (value === null) return `--${key}=none`;
  return `--${key}=${typeof value === "string" ? value : JSON.stringify(value)}`;
}
