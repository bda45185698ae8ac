import { suggest } from "../../shared/config/suggest.ts";
import { LockstepError } from "../../shared/errors.ts";
import { describeRecord } from "../../shared/log.ts";
import type { MetricsLine } from "../../shared/metrics.ts";
import type { RunActivity } from "../coordinator.ts";
import type { WorkerStatus } from "../worker_status.ts";
import { plotText } from "./plot_text.ts";
import type { RunStatus, Steering } from "./steering.ts";

/** What a command came to. */
export interface Answer {
  /** For a person: lines of text. */
  readonly text: string;
  /** The same for a program: becomes JSON. */
  readonly value: Readonly<Record<string, unknown>>;
}

/** A word after a command's name. */
export interface Parameter {
  readonly label: string;
  readonly optional?: true;
  /** Whether it names a worker, so that a console can complete it. */
  readonly isWorker?: true;
  /** Words that are not refused at once. */
  readonly choices?: readonly string[];
}

/** A command with which people steer a run, from a console or a page. */
export interface SteeringCommand {
  readonly name: string;
  /** What it does, one line. */
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  /** Whether it does something to the run: such commands are on the page, which shows all else anyway. */
  readonly acts?: true;
  /** Whether it cannot be taken back. */
  readonly isFinal?: true;
  /** Whether it is asked again and again, each time with the `next` of the answer's value, until the person has seen enough. */
  readonly follows?: true;
  /** Does it with as many words as it has parameters. Rejects with a `LockstepError` that says why it cannot be done. */
  run(words: readonly string[], options: { steering: Steering; by: string }): Answer | Promise<Answer>;
}

/** Every command, in the order of `help`. */
export const steeringCommands: readonly SteeringCommand[] = [
  {
    name: "status",
    summary: "Where the run is: step, losses, speed, last checkpoint",
    parameters: [],
    run(_, { steering }) {
      const status = steering.status();
      return { text: describeStatus(status), value: { ...status } };
    },
  },
  {
    name: "workers",
    summary: "Who computes, by rank, and who waits to",
    parameters: [],
    run(_, { steering }) {
      const workers = steering.workers();
      return { text: describeWorkers(workers), value: { workers } };
    },
  },
  {
    name: "watch",
    summary: "Follow the metrics, from the step STEP on, until a key is pressed",
    parameters: [{ label: "STEP", optional: true }],
    follows: true,
    run([word], { steering }) {
      const after = word === undefined ? null : stepOf(word) - 1;
      const lines = steering.metrics(after);
      const next = (lines.at(-1)?.step ?? after ?? -1) + 1;
      return { text: lines.map(describeLine).join("\n"), value: { lines, next: String(next) } };
    },
  },
  {
    name: "loss",
    summary: "Plot the losses of the run so far",
    parameters: [],
    async run(_, { steering }) {
      const history = await steering.history();
      const { steps, columns: { loss: { mean } } } = history.metrics({ points: PLOT_POINTS });
      const { steps: at, columns: { val_loss } } = history.estimates({ points: PLOT_POINTS });
      const curves = [
        { mark: "•", name: "loss", steps, values: mean },
        { mark: "○", name: "val loss", steps: at, values: val_loss.mean },
      ];
      return { text: plotText(curves), value: { curves } };
    },
  },
  {
    name: "samples",
    summary: "What the model wrote at the last estimates, the newest first",
    parameters: [{ label: "N", optional: true }],
    async run([word = "3"], { steering }) {
      const samples = (await steering.history()).samples.slice(-countOf(word, "samples")).toReversed();
      const shown = samples.map(({ step, prompt, text }) => `after ${step} steps:\n${prompt}${text}\n`);
      return { text: shown.length === 0 ? "no samples yet" : shown.join("\n"), value: { samples } };
    },
  },
  {
    name: "log",
    summary: "The last lines of the run's log",
    parameters: [{ label: "N", optional: true }],
    async run([word = "20"], { steering }) {
      const records = (await steering.history()).log.slice(-countOf(word, "lines"));
      return { text: records.map(describeRecord).join("\n"), value: { records } };
    },
  },
  {
    name: "pause",
    summary: "Begin no further step until resume; workers stay",
    parameters: [],
    acts: true,
    run(_, { steering, by }) {
      const step = steering.pause(by);
      return { text: `the run pauses after the step under way (it has made ${step})`, value: { step } };
    },
  },
  {
    name: "resume",
    summary: "Go on after a pause",
    parameters: [],
    acts: true,
    run(_, { steering, by }) {
      steering.resume(by);
      return { text: "the run goes on", value: {} };
    },
  },
  {
    name: "eval",
    summary: "Estimate the losses at the next boundary between steps",
    parameters: [],
    acts: true,
    async run(_, { steering }) {
      const { step, train, val } = await steering.estimate();
      const text = `after ${step} steps: train loss ${shown(train, 4)}, val loss ${shown(val, 4)}`;
      return { text, value: { step, train, val } };
    },
  },
  {
    name: "set",
    summary: "Change log_interval; any other key is refused, with what to do instead",
    parameters: [{ label: "KEY", choices: ["log_interval"] }, { label: "VALUE" }],
    acts: true,
    run([key, value], { steering, by }) {
      steering.set({ key, value, by });
      return {
        text: `${key} is ${value} from now on; a resumed run has its own again`,
        value: { key, value },
      };
    },
  },
  {
    name: "save",
    summary: "Save a checkpoint at the next boundary between steps",
    parameters: [],
    acts: true,
    async run(_, { steering }) {
      const step = await steering.save();
      return { text: `saved: the newest checkpoint is that of step ${step}`, value: { step } };
    },
  },
  {
    name: "evict",
    summary: "Send a worker away, by rank or name; the others go on with the same step",
    parameters: [{ label: "N|ID", isWorker: true }],
    acts: true,
    isFinal: true,
    run([word], { steering, by }) {
      const id = steering.evict(word, by);
      return {
        text: `${id} is evicted; if it lives it may join again: at once, or 5 s, 10 s, … after a second, ` +
          `third, … time within ten minutes`,
        value: { id },
      };
    },
  },
  {
    name: "stop",
    summary: "End the run after the step under way, with a checkpoint, as Ctrl-C does",
    parameters: [],
    acts: true,
    isFinal: true,
    run(_, { steering, by }) {
      const { step, activity } = steering.status();
      steering.stop(by);
      const text = activity === "evaluating"
        ? `the run gives up its evaluation and ends; it is saved up to step ${step}`
        : `the run ends after the step under way (it has made ${step}), with a checkpoint`;
      return { text, value: { step } };
    },
  },
];

/** A command line that may be run: `evict N|ID`. */
export function usageOf({ name, parameters }: Pick<SteeringCommand, "name" | "parameters">): string {
  return [name, ...parameters.map(({ label, optional }) => optional ? `[${label}]` : label)].join(" ");
}

/** Finds a command and checks how many words it has. Throws E_USAGE. */
export function steeringCommand(name: string, words: readonly string[]): SteeringCommand {
  const command = steeringCommands.find((known) => known.name === name);
  if (command === undefined) {
    const nearest = suggest(name, steeringCommands.map((known) => known.name));
    throw new LockstepError("E_USAGE", `Cannot take the command ${name} as there is none: ${nearest}`);
  }
  const required = command.parameters.filter(({ optional }) => !optional).length;
  if (words.length < required || words.length > command.parameters.length) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot ${name} with ${words.length} words after it: give ${usageOf(command)}`,
    );
  }
  return command;
}

function stepOf(word: string): number {
  if (/^\d{1,15}$/.test(word)) return Number(word);
  throw new LockstepError("E_USAGE", `Cannot watch from ${word} on: a step is a whole number from 0`);
}

/** Words of a number of lines. */
function countOf(word: string, what: string): number {
  if (/^[1-9]\d{0,2}$/.test(word)) return Number(word);
  throw new LockstepError("E_USAGE", `Cannot show ${word} ${what}: a whole number from 1 to 999 is required`);
}

const PLOT_POINTS = 400;

const ACTIVITIES: Record<RunActivity | "waiting", string> = {
  forming: "waiting for its first members",
  waiting: "waiting for workers",
  stepping: "making steps",
  paused: "paused",
  estimating: "estimating its losses",
  saving: "saving a checkpoint",
  evaluating: "evaluating its task",
};

function describeStatus(status: RunStatus): string {
  const { runDir, step, maxSteps, activity, last, estimate, savedStep, stoppedBy } = status;
  const { epoch, generation, members, minMembers, workers } = status;
  const lines = [
    `${runDir}: ${step} of ${maxSteps} steps, ${ACTIVITIES[activity]}`,
    `  members ${members} (at least ${minMembers}), workers ${workers.length}; epoch ${epoch}, generation ${generation}`,
  ];
  if (last !== null) lines.push(`  ${describeLine(last)}`);
  if (estimate !== null) lines.push(`  val loss ${shown(estimate.val, 4)} after ${estimate.step} steps`);
  lines.push(savedStep === null ? "  no checkpoint yet" : `  newest checkpoint: step ${savedStep}`);
  if (stoppedBy !== null) lines.push(`  ends after this step, as ${stoppedBy} asked`);
  return lines.join("\n");
}

/** nanoGPT's log line, with the learning rate and tokens/s. */
function describeLine({ step, loss, dt_ms, tokens_per_sec, lr }: MetricsLine): string {
  return `iter ${step}: loss ${shown(loss, 4)}, time ${shown(dt_ms, 2)}ms, lr ${
    lr?.toExponential(3) ?? "–"
  }, ${shown(tokens_per_sec, 0)} tokens/s`;
}

function shown(value: number | null, digits: number): string {
  return value?.toFixed(digits) ?? "–";
}

function describeWorkers(workers: readonly WorkerStatus[]): string {
  if (workers.length === 0) return "no workers";
  const rows = workers.map(({ id, rank, state, shards, host, pid, silentMs, cpuMs }) => [
    rank === null ? "–" : String(rank),
    id,
    state,
    shards.length === 0 ? "–" : shards.join(","),
    `${host}:${pid}`,
    `${(cpuMs / 1000).toFixed(1)} s`,
    `${(silentMs / 1000).toFixed(1)} s`,
  ]);
  const table = [["rank", "name", "is", "shards", "process", "CPU time", "heard"], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd())
    .join("\n");
}
