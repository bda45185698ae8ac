import { verify } from "../../worker/verify.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { about, text, truth } from "../../shared/config/kinds.ts";
import { defineCommand } from "./command.ts";
import { rerunFor } from "./engine_process.ts";
import {
  describeThisMachine,
  listCases,
  printTable,
  type TimedVerdict,
  verifyColumn,
} from "./verify_cases.ts";

/** `verify DIR…`: holds engines against reference weights, gradients and trajectories. */
export const command = defineCommand({
  summary: "Hold an engine against a directory of reference weights, gradients and losses",
  usage: "DIR… [--engine=NAME[,NAME…]] [--json|--markdown]",
  options: {
    engine: text("an engine, or several with commas between").default("onnx").register(about, {
      help: "Engine to check",
    }),
    json: truth().default(false).register(about, { help: "Print one JSON line for each case" }),
    markdown: truth().default(false).register(about, {
      help: "Print a table of cases and engines, each engine in a process of its own",
    }),
  },
  example: "lockstep verify tests/fixtures/nanogpt-tiny --engine=reference --json",
  async run({ options: { engine, json, markdown }, words }) {
    if (words.length === 0) {
      throw new LockstepError("E_USAGE", "Cannot verify: a directory is required, given 0");
    }
    const cases = await listCases(words);
    const engines = engine.split(",");
    if (markdown) return await showTable(cases, engines);
    if (engines.length > 1) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot verify ${engines.length} engines in one process: add --markdown for a table, or name one`,
      );
    }
    const status = await rerunFor(engine);
    if (status !== null) return status;
    let passed = true;
    for (const directory of cases) {
      const began = performance.now();
      const verdict = await verify(directory, engine);
      show({ ...verdict, seconds: (performance.now() - began) / 1000 }, json);
      passed &&= verdict.pass;
    }
    return passed ? 0 : EXIT.failure;
  },
});

function show(verdict: TimedVerdict, json: boolean): void {
  if (json) return console.log(JSON.stringify(verdict));
  console.log(`${verdict.case} on ${verdict.engine}: ${verdict.pass ? "passed" : "FAILED"}`);
  for (const [measure, difference] of Object.entries(verdict.worst)) {
    console.log(`  ${measure.padEnd(10)} differs by at most ${difference.toExponential(2)}`);
  }
}

async function showTable(cases: readonly string[], engines: readonly string[]): Promise<number> {
  const columns = [];
  for (const engine of engines) columns.push(await verifyColumn(engine, cases)); // in turn: the times are their own
  const date = new Date().toISOString().slice(0, 10);
  console.log(printTable(cases, columns, { date, machine: describeThisMachine() }));
  const passed = columns.every(({ verdicts, problem }) =>
    problem === null && [...verdicts.values()].every(({ pass }) => pass)
  );
  return passed ? 0 : EXIT.failure;
}
