import { parseRunConfig } from "../shared/config/parse_run_config.ts";
import { readToml } from "../shared/config/toml.ts";
import { CheckpointStore } from "../shared/checkpoint/store.ts";
import { LockstepError } from "../shared/errors.ts";
import { runDirAt } from "../shared/run_dir.ts";
import type { StepLine } from "./ledger_chain.ts";
import { readLedger } from "./ledger_files.ts";

/** What the ledgers of a run prove. */
export interface LedgerReport {
  /** Steps that are decided, from the first on. */
  readonly steps: number;
  /** Samples that were used, each once. */
  readonly samples: number;
  readonly epochs: number;
  /** Checkpoints whose state is the one that the ledger says. */
  readonly checkpoints: number;
  /** The first thing that is wrong, with its step; null if nothing is. */
  readonly problem: string | null;
  /** What of the files is void, a sentence each: what an epoch wrote after it was taken over, a torn last line. */
  readonly remarks: readonly string[];
}

/**
 * Verifies a run's ledgers: they chain, each step is decided once, each sample of the plan is used exactly once and each
 * shard computed by one member, and the states of the checkpoints are those of the ledger. Throws E_OUT_DIR where there is
 * no run, E_DECODE where its configuration is damaged.
 */
export async function reportLedger(path: string): Promise<LedgerReport> {
  const run = runDirAt(path);
  const text = await Deno.readTextFile(run.config).catch((cause) => {
    throw new LockstepError("E_OUT_DIR", `Cannot read the ledger of ${path} as there is no run`, { cause });
  });
  const { gradient_accumulation_steps: V, batch_size } = parseRunConfig(
    readToml(text, { source: run.config }),
    {
      source: run.config,
    },
  );
  const ledger = await readLedger(path);
  const states = await checkpointStates(run.checkpoints);
  let problem: string | null = null;
  for (let step = 0; step < ledger.next && problem === null; step++) {
    problem = problemOf(step, { line: ledger.steps.get(step), shards: V, samples: V * batch_size });
    const state = states.get(step);
    if (problem === null && state !== undefined && state !== ledger.steps.get(step)?.state_hash) {
      problem = `step ${step}: the checkpoint's state ${state} is not the ledger's`;
    }
  }
  return {
    steps: ledger.next,
    samples: ledger.next * V * batch_size,
    epochs: new Set([...ledger.steps.values()].map(({ epoch }) => epoch)).size,
    checkpoints: [...states.keys()].filter((step) => step < ledger.next).length,
    problem,
    remarks: ledger.problems,
  };
}

function problemOf(
  step: number,
  { line, shards, samples }: { line: StepLine | undefined; shards: number; samples: number },
): string | null {
  if (line === undefined) return `step ${step}: it was never decided`;
  const [first, last] = line.samples;
  if (first !== step * samples || last !== first + samples - 1) {
    return `step ${step}: it used the samples ${first} to ${last}, not ${step * samples} to ${
      (step + 1) * samples - 1
    }`;
  }
  const computed = Object.values(line.shards).flat().sort((a, b) => a - b);
  const isWhole = computed.length === shards && computed.every((shard, i) => shard === i);
  return isWhole
    ? null
    : `step ${step}: it computed the shards ${computed.join(", ")}, not 0 to ${shards - 1} once each`;
}

/** State hashes of the checkpoints that verify, by step. */
async function checkpointStates(path: string): Promise<Map<number, string>> {
  const store = new CheckpointStore(path);
  const states = new Map<number, string>();
  for (const step of await store.steps()) {
    const found = await store.load(step).catch(() => null); // what is damaged is `inspect`'s to say
    if (found !== null) states.set(step, found.state.state_hash);
  }
  return states;
}
