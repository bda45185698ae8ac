import { about, truth } from "../../shared/config/kinds.ts";
import { commandLine } from "../../shared/command_line.ts";
import { EXIT } from "../../shared/errors.ts";
import { defineCommand } from "./command.ts";
import { describeDryRun } from "./dry_run.ts";
import { readOverrides } from "../../shared/config/overrides.ts";
import { resolveTrainConfig } from "./resolve_train_config.ts";
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
  },
  config: ["data", "model", "optimizer", "run", "evaluation", "system", "launch"],
  example: "lockstep train shakespeare-char --data=input.txt --max_iters=2000",
  async run({ options, words }) {
    const { config, preset, notes } = await resolveTrainConfig(words, { otherNames });
    for (const note of notes) console.error(`note ${note}`);
    if (options.dry_run) {
      console.log(await describeDryRun(config, { preset }));
      return 0;
    }
    const interrupt = interruptible();
    const shown = trainConsole(config);
    try {
      const result = await trainRun({ config, preset, observer: shown, signal: interrupt.signal });
      shown.end();
      if (result.task !== null) console.log(`\n${describeTask(result.task)}`);
      if (result.stopped) {
        console.log(`stopped after step ${result.step}; to go on: ${resumeCommand(result.runDir)}`);
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
      }
      throw error;
    } finally {
      interrupt.end();
    }
  },
});

/** Options of the command itself, for the hint of the nearest name. */
const otherNames = ["dry_run"];

/** Signals so close together are one: a terminal, a launcher and a scheduler may each pass on the same, in ms. */
const ECHO_MS = 200;

/** Ctrl-C and SIGTERM: the first ends the run after the step under way, the second at once. */
function interruptible(): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  let began = 0;
  const listener = () => {
    if (controller.signal.aborted) {
      if (performance.now() - began > ECHO_MS) Deno.exit(EXIT.interrupted);
      return;
    }
    began = performance.now();
    console.error("\ninterrupted: finishing the step and saving; once more ends at once");
    controller.abort();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return {
    signal: controller.signal,
    end() {
      for (const signal of signals) Deno.removeSignalListener(signal, listener);
    },
  };
}

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
