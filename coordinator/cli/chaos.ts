import { about, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import type { ChaosCase } from "../chaos/case.ts";
import { cases } from "../chaos/cases.ts";
import { type CaseResult, References, runCase } from "../chaos/run_case.ts";
import { defineCommand } from "./command.ts";

/** `chaos`: does to real runs what a run must survive; exit status 1 if one did not. */
export const command = defineCommand({
  summary: "Disturb real runs in all the ways that a run must survive",
  usage: "[--case=N|N,N|all] [--times=N] [--keep] [--json]",
  options: {
    case: text("all, or numbers of cases").default("all").register(about, {
      help: "Which cases: docs/reliability.md lists them",
    }),
    times: wholeNumber(1).default(1).register(about, { help: "How often each is run" }),
    keep: truth().default(false).register(about, {
      help: "Whether the folder of a case that fails stays, to look into",
    }),
    json: truth().default(false).register(about, { help: "Whether to print a line of JSON for each" }),
  },
  example: "lockstep chaos --case=3 --json",
  async run({ options }) {
    const chosen = chooseCases(options.case);
    const references = new References();
    const signal = interruption();
    const failed: number[] = [];
    let [passed, notRun] = [0, 0];
    for (let time = 0; time < options.times; time++) {
      for (const each of chosen) {
        const result = await runCase(each, { references, keep: options.keep, signal });
        if (signal.aborted) return EXIT.interrupted;
        console.log(options.json ? JSON.stringify(result) : describe(result));
        if (result.pass === null) notRun++;
        else if (result.pass) passed++;
        else failed.push(result.case);
      }
    }
    if (!options.json) console.log(`${passed} passed, ${failed.length} failed, ${notRun} not run`);
    return failed.length > 0 ? EXIT.failure : 0;
  },
});

/** Ctrl-C and SIGTERM end the case under way, which takes away what it has made. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(
      name,
      () => controller.signal.aborted ? Deno.exit(EXIT.interrupted) : controller.abort(),
    );
  }
  return controller.signal;
}

/** Cases by their numbers, "3" or "1,2", or all. Throws E_USAGE for one that is not known. */
export function chooseCases(given: string): readonly ChaosCase[] {
  if (given === "all") return cases;
  return given.split(",").map((number) => {
    const found = cases.find((each) => String(each.number) === number.trim());
    if (found !== undefined) return found;
    throw new LockstepError(
      "E_USAGE",
      `Cannot run the case ${number} as there are 1 to ${cases.length}: give numbers such as --case=1,2, or all`,
    );
  });
}

function describe({ case: number, name, pass, seconds, reason }: CaseResult): string {
  const outcome = pass === null ? "not run" : pass ? "passed" : "FAILED";
  return `${number}. ${name}: ${outcome} in ${seconds.toFixed(1)} s${reason === "" ? "" : `: ${reason}`}`;
}
