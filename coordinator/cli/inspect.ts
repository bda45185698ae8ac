import { about, optional, text, truth } from "../../shared/config/kinds.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { type CheckpointReport, inspectRun, type RunReport } from "../inspection.ts";
import { type LedgerReport, reportLedger } from "../ledger_report.ts";
import { defineCommand } from "./command.ts";
import { showAttention, showMixing } from "./inspect_inside.ts";

/** `inspect`: shows what a run's directory holds and verifies its checkpoints; exit status 1 if one is damaged. */
export const command = defineCommand({
  summary: "Show what a run holds and verify its checkpoints",
  usage: "RUN [--ledger | --attention=PROMPT | --mixing] [--svg=FILE] [--json]",
  options: {
    ledger: truth().default(false).register(about, {
      help: "Whether to prove by the ledger that each sample was used once",
    }),
    attention: optional(text("a prompt")).default(null).register(about, {
      help: "Show what each head looks at in this prompt",
    }),
    mixing: truth().default(false).register(about, {
      help: "Whether to show what the learned combinations of layers became",
    }),
    svg: optional(text("a file")).default(null).register(about, {
      help: "File for a picture of attention or mixing",
    }),
    json: truth().default(false).register(about, { help: "Whether to print one line of JSON" }),
  },
  example: "lockstep inspect out/sort-demo",
  async run({ options, words }) {
    const [path, ...more] = words;
    if (path === undefined || more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot inspect as the directory of one run is required, such as out/sort-demo: given are ${words.length}`,
      );
    }
    if (options.ledger) return await inspectLedger(path, options.json);
    if (options.attention !== null || options.mixing) {
      if (options.attention !== null) await showAttention(path, options.attention, options);
      else await showMixing(path, options);
      return 0;
    }
    const report = await inspectRun(path);
    console.log(options.json ? JSON.stringify(report) : printReport(report));
    return report.checkpoints.some(({ problem }) => problem !== null) ? EXIT.failure : 0;
  },
});

async function inspectLedger(path: string, json: boolean): Promise<number> {
  const report = await reportLedger(path);
  console.log(json ? JSON.stringify(report) : printLedger(report));
  return report.problem === null ? 0 : EXIT.failure;
}

function printLedger({ steps, samples, epochs, checkpoints, problem, remarks }: LedgerReport): string {
  const proof = problem === null
    ? `${steps} steps decided once each in ${epochs} epochs, each of ${samples} samples used exactly once, ` +
      `the states of ${checkpoints} checkpoints are the ledger's`
    : `WRONG at ${problem}`;
  return [proof, ...remarks.map((remark) => `void: ${remark}`)].join("\n");
}

/** A report as lines of text. */
export function printReport(report: RunReport): string {
  const { run_id, created, numerics, changes, versions, git_revision } = report.manifest;
  const threads = numerics.threads === 1 ? "1 thread" : `${numerics.threads} threads`;
  const built = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `run ${run_id} in ${report.path}, started ${created}`,
    `  ${numerics.engine} on ${numerics.device}, ${threads} a worker; ${built.join(", ")}` +
    (git_revision === null ? "" : `; git ${git_revision.slice(0, 12)}`),
    ...changes.map(({ until, numerics }) =>
      `  before, up to step ${until}: ${numerics.engine} on ${numerics.device}`
    ),
    `  configuration ${report.manifest.config_hash.slice(0, 16)}`,
    ...printProgress(report),
    ...report.checkpoints.map(printCheckpoint),
    ...(report.checkpoints.length === 0 ? ["no checkpoint yet"] : []),
  ].join("\n");
}

function printProgress({ lastMetrics, lastEvals }: RunReport): string[] {
  const lines = lastEvals.map(({ step, task, metrics }) => {
    const figures = Object.entries(metrics).map(([name, value]) => `${name} ${value}`);
    return `${task} after ${step} steps: ${figures.join(", ")}`;
  });
  if (lastMetrics !== null) {
    const { step, loss, tokens } = lastMetrics;
    lines.unshift(`last logged: iter ${step}, loss ${loss?.toFixed(4) ?? "not finite"}, ${tokens} tokens`);
  }
  return lines;
}

function printCheckpoint({ step, bytes, state, problem, latest, best }: CheckpointReport): string {
  const marks = `${latest ? ", LATEST" : ""}${best ? ", BEST" : ""}`;
  if (state === null) return `checkpoint ${step}${marks}: ${problem}`;
  const loss = state.val_loss === null ? "" : `, validation loss ${state.val_loss.toFixed(4)}`;
  return `checkpoint ${step}${marks}: verified, ${bytes} bytes${loss}, state ${
    state.state_hash.slice(0, 16)
  }`;
}
