import { about, optional, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { commandLine } from "../../shared/command_line.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { defineCommand } from "./command.ts";
import { describeDryRun } from "./dry_run.ts";
import { readOverrides } from "../../shared/config/overrides.ts";
import { resolveTrainConfig } from "./resolve_train_config.ts";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { type Interrupt, interruptible } from "./interrupt.ts";
import { roleOf } from "../launch/role.ts";
import { runNodeAgent } from "./node_agent.ts";
import { openProgress } from "./progress.ts";
import { requeueJob } from "./requeue_job.ts";
import { RunPage } from "./run_page.ts";
import { describeTask, trainConsole } from "./train_console.ts";
import { trainRun } from "./train_run.ts";

/** `train PRESET|FILE.toml`: trains on all cores of this machine unless told otherwise. */
export const command = defineCommand({
  summary: "Train a model from a preset or a TOML file",
  usage: "[PRESET|FILE.toml] [--key=value …]",
  options: {
    dry_run: truth().default(false).register(about, {
      help: "Print configuration, parameters, memory and FLOP per step, and start nothing",
    }),
    dashboard: truth().default(false).register(about, {
      help: "Whether to show the run on a page while it goes on (docs/observe.md)",
    }),
    dashboard_port: optional(wholeNumber(0, 65_535)).default(null).register(about, {
      help: "TCP port of the page; none is the first free one from 6006 on",
    }),
  },
  config: ["data", "model", "optimizer", "run", "evaluation", "system", "launch"],
  example: "lockstep train shakespeare-char --data=input.txt --max_iters=2000",
  async run({ options, words }) {
    using bar = openProgress({ stream: "stdout" });
    const { config, preset, notes, launcher } = await resolveTrainConfig(words, {
      otherNames,
      onlyLooks: options.dry_run,
      onProgress: bar.update,
    });
    for (const note of notes) console.error(`note ${note}`);
    if (options.dry_run) {
      console.log(await describeDryRun(config, { preset }));
      return 0;
    }
    const underSlurm = launcher === "slurm";
    const interrupt = interruptible({ underSlurm });
    if (await roleOf(config) === "node") {
      return await asNode(config, { interrupt, underSlurm }).finally(() => interrupt.end());
    }
    const shown = trainConsole(config);
    const page = options.dashboard ? new RunPage(shown, options.dashboard_port) : null;
    const isRequeued = () => underSlurm && interrupt.isWarning;
    try {
      const result = await trainRun({
        ...{ config, preset, observer: page?.observer ?? shown, signal: interrupt.signal },
        startedMs: 0, // the start of this process
      });
      shown.end();
      if (result.task !== null) console.log(`\n${describeTask(result.task)}`);
      if (result.stopped) {
        const why = result.outOfTime ? `, as max_time (${config.max_time}) is over` : "";
        console.log(`stopped after step ${result.step}${why}; to go on: ${resumeCommand(result.runDir)}`);
        if (result.outOfTime) return EXIT.tryAgain;
        if (isRequeued()) await requeueJob(Deno.env.toObject());
        return EXIT.interrupted;
      }
      console.log(`run directory: ${result.runDir}`);
      if (!config.quiet) {
        const [task = preset] = readOverrides(words, otherNames).positionals;
        console.log(nextSteps(result.runDir, task));
      }
      return 0;
    } catch (error) {
      shown.end();
      const runDir = shown.resumable();
      if (runDir !== null) {
        console.error(`to go on from the last checkpoint: ${resumeCommand(runDir)}`);
        if (isRequeued()) await requeueJob(Deno.env.toObject());
      }
      throw error;
    } finally {
      interrupt.end();
      await page?.close();
    }
  },
});

/** Takes part in a run that another machine coordinates, to its end. */
async function asNode(
  config: RunConfig,
  { interrupt, underSlurm }: { interrupt: Interrupt; underSlurm: boolean },
): Promise<number> {
  const leaving = new AbortController();
  // Slurm's signals reach all nodes: the coordinator saves with the members that it has, and sends everybody home.
  interrupt.signal.addEventListener("abort", () => underSlurm || interrupt.isWarning || leaving.abort());
  const say = (sentence: string) => {
    if (!config.quiet || sentence.startsWith("warning")) console.error(sentence);
  };
  try {
    await runNodeAgent({ config, signal: leaving.signal, say });
  } catch (error) {
    // A bad end of one task would have srun end the coordinator before it has put the job back into the queue.
    const isStopped = error instanceof LockstepError && error.code === "E_INTERRUPTED";
    if (isStopped && (underSlurm || interrupt.isWarning)) return 0;
    throw error;
  }
  return leaving.signal.aborted ? EXIT.interrupted : 0;
}

/** Options of the command itself, for the hint of the nearest name. */
const otherNames = ["dry_run", "dashboard", "dashboard_port"];

function resumeCommand(runDir: string): string {
  return commandLine(`train --init_from=resume --out_dir=${runDir}`);
}

function nextSteps(runDir: string, task: string): string {
  return [
    "try next:",
    ...[`sample ${runDir}`, `eval ${runDir}`, `train ${task} --model=nanogpt-6l`].map((words) =>
      `  ${commandLine(words)}`
    ),
  ].join("\n");
}
