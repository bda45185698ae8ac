import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { readSweep } from "../sweep/sweep_file.ts";
import { defineCommand } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { type PlannedRun, planSweep } from "./sweep_plan.ts";
import { sweepRun, type SweepRunOutcome } from "./sweep_run.ts";
import { describeEnd, describePlan } from "./sweep_text.ts";

/** `sweep FILE.toml`: trains and measures every variant with every seed; what is done already is left as it is. */
export const command = defineCommand({
  summary: "Train and measure variants with several seeds, and compare them",
  usage: "FILE.toml [--jobs=N] [--only=RUN,…] [--dry_run] | report FILE.toml …",
  options: {
    jobs: optional(wholeNumber(1)).default(null).register(about, {
      unit: "runs",
      help: "How many at a time; none is as many as there are cores for, or one on a GPU",
    }),
    results: optional(text("a folder")).default(null).register(about, {
      help: "Where results are kept; none is a folder beside the file, of its name",
    }),
    only: optional(text("names with commas between")).default(null).register(about, {
      help: "Names of the runs that are meant; none is all",
    }),
    dry_run: truth().default(false).register(about, {
      help: "Print the runs, what they cost and how far they are, and start nothing",
    }),
  },
  example: "lockstep sweep docs/experiments/kv-retrieval.toml --jobs=2",
  async run({ options, words }) {
    const [file, ...more] = words;
    if (file === undefined || more.length > 0) {
      throw new LockstepError("E_USAGE", `Cannot sweep: one TOML file is required, given ${words.length}`);
    }
    const sweep = await readSweep(file);
    const results = options.results ?? join(dirname(file), sweep.name);
    const say = (sentence: string) => console.log(sentence);
    const all = await planSweep(sweep, { results, say });
    const runs = chosen(all, options.only);
    if (options.dry_run) {
      console.log(describePlan(runs));
      return 0;
    }
    refuseChanged(runs);
    return await runAll(runs, { jobs: options.jobs ?? await jobsFor(runs), say });
  },
});

/** The runs with these names. Throws E_USAGE for one that is none. */
function chosen(runs: readonly PlannedRun[], only: string | null): readonly PlannedRun[] {
  if (only === null) return runs;
  return only.split(",").map((name) => {
    const run = runs.find((run) => run.name === name);
    if (run !== undefined) return run;
    const names = runs.map(({ name }) => name).join(", ");
    throw new LockstepError("E_USAGE", `Cannot run only ${name} as the sweep's runs are ${names}`);
  });
}

function refuseChanged(runs: readonly PlannedRun[]): void {
  for (const { name, state } of runs) {
    if (state.kind !== "changed") continue;
    throw new LockstepError(
      "E_CONFIG_HASH",
      `Cannot take ${state.path} for ${name} as it must have the sweep's configuration: ${
        state.differences.join(", ")
      }; give the old values, name the variant otherwise, or move it away`,
    );
  }
}

/** One for each core that its workers leave, and one on a GPU. */
async function jobsFor(runs: readonly PlannedRun[]): Promise<number> {
  const [{ config }] = runs;
  const { device } = await chooseEngine(config);
  const { threads, nproc_per_node: workers } = config;
  if (device !== "cpu" || typeof workers !== "number") return 1;
  return Math.max(1, Math.floor(availableParallelism() / (threads * workers)));
}

/** Runs `jobs` at a time in their order; the exit status says whether all came to their end. */
async function runAll(
  runs: readonly PlannedRun[],
  { jobs, say }: { jobs: number; say(sentence: string): void },
): Promise<number> {
  const interrupt = interruptible({ underSlurm: false });
  const waiting = runs.filter(({ state }) => state.kind !== "done");
  say(
    `${runs.length} runs: ${runs.length - waiting.length} are done, ${
      Math.min(jobs, waiting.length)
    } at a time`,
  );
  const outcomes: SweepRunOutcome[] = [];
  const width = Math.max(...runs.map(({ name }) => name.length));
  const worker = async () => {
    for (let run = waiting.shift(); run !== undefined && !interrupt.signal.aborted; run = waiting.shift()) {
      const tell = (sentence: string) => say(`${run.name.padEnd(width)}  ${sentence}`);
      const outcome = await sweepRun(run, { signal: interrupt.signal, reachesAll: false, say: tell });
      tell(describeEnd(outcome));
      outcomes.push(outcome);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, worker));
  } finally {
    interrupt.end();
  }
  if (interrupt.signal.aborted) say("the same command goes on from here");
  if (outcomes.some(({ kind }) => kind === "failed")) return EXIT.failure;
  return interrupt.signal.aborted || outcomes.some(({ kind }) => kind === "open") ? EXIT.tryAgain : 0;
}
