/**
 * Lockstep trains small GPT models, nanoGPT and Reflex transformers, data-parallel over worker processes: the same
 * bytes for any number of workers. Run as a program, this is the command line.
 *
 * @module
 */
import type { EvaluatedRun } from "./coordinator/cli/eval_run.ts";
import type { TrainObserver } from "./coordinator/cli/train_observer.ts";
import type { TrainedRun } from "./coordinator/cli/train_run.ts";
import type { RunConfig } from "./shared/config/run_config.ts";
import type { Exported, ExportOptions } from "./worker/export/export_model.ts";
import type { GenerateOptions } from "./worker/generate_from_run.ts";
import type { LoadOptions } from "./worker/load_checkpoint.ts";
import type { LoadedCheckpoint, LoadedParameter } from "./worker/loaded_checkpoint.ts";

export { type ErrorCode, LockstepError } from "./shared/errors.ts";
export type {
  EvaluatedRun,
  Exported,
  ExportOptions,
  GenerateOptions,
  LoadedCheckpoint,
  LoadedParameter,
  LoadOptions,
  RunConfig,
  TrainedRun,
  TrainObserver,
};

/** What `train` takes. */
export interface TrainOptions {
  /** A preset's name or the path of a TOML file; "sort-demo" unless given. */
  readonly preset?: string;
  /** Keys that stand above the preset's: docs/configuration.md. Tables (`reflex`, `sort`) may be given in part. */
  readonly config?: {
    readonly [K in keyof RunConfig]?: RunConfig[K] extends object ? Partial<RunConfig[K]> : RunConfig[K];
  };
  /** Is told of steps, estimates and checkpoints. */
  readonly observer?: TrainObserver;
  /** Ends the run after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/**
 * Trains a model and resolves when it is done: the run's folder, the last loss estimate in nats, and the figures of the
 * task's evaluation. Rejects with a {@link LockstepError} that carries a stable code.
 *
 * @example
 * ```ts
 * import { train } from "./mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const run = await train({
 *   preset: "sort-demo",
 *   config: { out_dir: `${folder}/run`, max_iters: 3, n_layer: 2, n_embd: 12, nproc_per_node: 1, eval_iters: 1, eval_items: 8 },
 * });
 * console.log(run.step, run.valLoss, run.task?.metrics[0]); // 3, about 2.8, { name: "exact_match", … }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function train(
  { preset, config = {}, observer, signal }: TrainOptions = {},
): Promise<TrainedRun> {
  const [{ trainRun }, { keyWord, resolveTrainConfig }, { flattenValues }] = await Promise.all([
    import("./coordinator/cli/train_run.ts"), // loaded when called, so that `--help` is there at once
    import("./coordinator/cli/resolve_train_config.ts"),
    import("./shared/config/key_values.ts"),
  ]);
  const keys = [...flattenValues(config, "train()")].filter(([, value]) => value !== undefined);
  const words = keys.map(([key, value]) => keyWord(key, value));
  const resolved = await resolveTrainConfig(preset === undefined ? words : [preset, ...words]);
  return await trainRun({ config: resolved.config, preset: resolved.preset, observer, signal });
}

/** What `evaluate` takes. */
export interface EvaluateOptions {
  /** "latest", "best" or a step; the newest unless given. */
  readonly checkpoint?: "latest" | "best" | number;
  /** Tasks by name, as docs/evaluation.md lists them: "sort", "lambada"; the one the run was trained for unless given. */
  readonly tasks?: readonly string[];
  /** Folder of the questions of tasks that have some. */
  readonly task_data?: string;
  /** Folder of the prepared text, if it is not where it was in training. */
  readonly data_dir?: string;
  /** Items of a task; the run's own number unless given. */
  readonly eval_items?: number;
  /** Worker processes. */
  readonly nproc_per_node?: number;
}

/**
 * Evaluates the run in the folder `run`: metrics with 95 % intervals, the same for any number of workers. They are noted
 * in its eval.jsonl.
 *
 * @example
 * ```ts ignore
 * import { evaluate } from "./mod.ts";
 *
 * const { results } = await evaluate("out/sort-demo", { eval_items: 200 });
 * console.log(results[0].metrics);
 * ```
 */
export async function evaluate(run: string, options: EvaluateOptions = {}): Promise<EvaluatedRun> {
  const { evalRun } = await import("./coordinator/cli/eval_run.ts");
  const { checkpoint, tasks = [], ...overrides } = options;
  return await evalRun({ run, checkpoint, tasks, overrides });
}

/**
 * Lets a trained model go on from a prompt, or sort numbers, and yields the new text as it comes, whole characters only.
 * `run` is the folder of a run or of one of its checkpoints, or what {@link loadCheckpoint} opened. The same options
 * give the same text. Rejects with E_TOKEN or E_USAGE for a prompt that the model cannot read.
 *
 * @example
 * ```ts
 * import { generate, train } from "./mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const { runDir } = await train({
 *   config: { out_dir: `${folder}/run`, max_iters: 3, n_layer: 2, n_embd: 12, nproc_per_node: 1, eval_iters: 1, eval_items: 0 },
 * });
 * let answer = "";
 * for await (const text of generate(runDir, { start: "9 3 5 1 0 4 4 2 8 15 7 7 6 11 3 10" })) answer += text;
 * console.log(answer); // 16 numbers, sorted once it has trained for longer
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function* generate(
  run: string | LoadedCheckpoint,
  options: GenerateOptions = {},
): AsyncGenerator<string> {
  const { generate } = await import("./worker/generate_from_run.ts");
  yield* generate(run, options);
}

/**
 * Opens a checkpoint, verified to the last byte: its parameters by name, its logits, and {@link generate} from it. `path`
 * is the folder of a run, of which the newest is taken unless `checkpoint` says otherwise, or `…/checkpoints/step-N`, or
 * weights from elsewhere (docs/weights.md).
 * Rejects with E_OUT_DIR, E_NO_CHECKPOINT or E_CHECKPOINT_CORRUPT where there is none to load.
 *
 * @example
 * ```ts
 * import { loadCheckpoint, train } from "./mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const { runDir } = await train({
 *   config: { out_dir: `${folder}/run`, max_iters: 3, n_layer: 2, n_embd: 12, nproc_per_node: 1, eval_iters: 1, eval_items: 0 },
 * });
 * {
 *   await using checkpoint = await loadCheckpoint(runDir, { checkpoint: "best" });
 *   console.log(checkpoint.step, checkpoint.parameters.get("transformer.wte.weight")?.shape); // 3, [17, 12]
 *   const logits = await checkpoint.logits([3, 1, 2]); // (1, 3, 17), flat
 *   console.log(logits.length); // 51
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<LoadedCheckpoint> {
  const { loadCheckpoint } = await import("./worker/load_checkpoint.ts");
  return await loadCheckpoint(path, options);
}

/**
 * Writes a trained model in the format of another program: `hf`, `nanogpt`, `onnx`, `tfjs` or `web`. `path` is what
 * {@link loadCheckpoint} takes; `out` a new folder. Rejects with E_MODEL, naming the variant, where the format cannot hold it.
 *
 * @example
 * ```ts ignore
 * import { exportModel } from "./mod.ts";
 *
 * const { files } = await exportModel("out/shakespeare-char", { format: "onnx", out: "model" });
 * console.log(files.map(({ name }) => name));
 * ```
 */
export async function exportModel(path: string, options: ExportOptions): Promise<Exported> {
  const { exportModel } = await import("./worker/export/export_model.ts");
  return await exportModel(path, options);
}

if (import.meta.main) {
  const { main } = await import("./coordinator/cli/main.ts");
  Deno.exit(await main(Deno.args));
}
