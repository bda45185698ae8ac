import { dataKeys } from "../../shared/config/keys/data.ts";
import { evaluationKeys } from "../../shared/config/keys/run.ts";
import { launchKeys, systemKeys } from "../../shared/config/keys/system.ts";
import { about, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { TASKS } from "../../shared/tasks/open_task.ts";
import type { TaskResult } from "../evaluate_task.ts";
import { defineCommand } from "./command.ts";
import { evalRun, type EvaluatedRun } from "./eval_run.ts";
import { openProgress } from "./progress.ts";
import { describeTask } from "./train_console.ts";

/** `eval RUN`: how well a trained run does its task. */
export const command = defineCommand({
  summary: "Evaluate a trained run on tasks, dealt over workers",
  usage: "RUN [--tasks=sort,perplexity] [--task_data=FOLDER] [--json]",
  options: {
    tasks: text("names with commas between").default("own").register(about, {
      help: `Tasks: ${
        TASKS.join(", ")
      }, or classify:FILE?text=COLUMN&label=COLUMN; own is the task the run was trained for, fitting all that fit its model`,
    }),
    checkpoint: text("latest, best or a step").default("latest").register(about, {
      help: "Which checkpoint",
    }),
    eval_items: wholeNumber(1).default(1000).register(about, {
      unit: "items",
      help: "Items of a task, or all that its files have where they have fewer",
    }),
    task_data: evaluationKeys.task_data,
    data_dir: dataKeys.data_dir,
    engine: systemKeys.engine,
    device: systemKeys.device,
    nproc_per_node: launchKeys.nproc_per_node,
    json: truth().default(false).register(about, { help: "Print one JSON line" }),
    verbose: systemKeys.verbose,
    quiet: systemKeys.quiet,
  },
  example: "lockstep eval out/sort-demo --tasks=sort --nproc-per-node=2 --json",
  async run({ options, words }) {
    const [run, ...more] = words;
    if (run === undefined || more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot evaluate: one run's folder is required, given ${words.length}`,
      );
    }
    const { tasks, checkpoint, json, data_dir, task_data, quiet: _, ...overrides } = options;
    using bar = openProgress(options);
    const evaluated = await evalRun({
      run,
      checkpoint: parseCheckpoint(checkpoint),
      tasks: tasks === "own" ? [] : tasks.split(","),
      overrides: {
        ...overrides,
        ...(data_dir === null ? {} : { data_dir }),
        ...(task_data === null ? {} : { task_data }),
      },
      onProgress: (done, total) => bar.update({ what: "evaluated", done, total }),
      onTransfer: bar.update,
      onWarning: (sentence) => bar.above(() => console.error(`warning ${sentence}`)),
    });
    console.log(json ? JSON.stringify(asJson(evaluated)) : evaluated.results.map(describeTask).join("\n"));
    return 0;
  },
});

/** `latest`, `best` or a step's number. Anything else is an E_USAGE. */
export function parseCheckpoint(word: string): "latest" | "best" | number {
  if (word === "latest" || word === "best") return word;
  if (/^\d+$/.test(word)) return Number(word);
  throw new LockstepError(
    "E_USAGE",
    `Cannot take the checkpoint ${word}: latest, best or a step is required`,
  );
}

function asJson({ run, step, results }: EvaluatedRun) {
  const metricsOf = ({ metrics }: TaskResult) =>
    Object.fromEntries(metrics.map(({ name, ...figures }) => [name, figures]));
  return { run, step, tasks: Object.fromEntries(results.map((result) => [result.name, metricsOf(result)])) };
}
