import { verify } from "../../worker/verify.ts";
import { EXIT, LockstepError } from "../../shared/errors.ts";
import { about, text, truth } from "../../shared/config/kinds.ts";
import { defineCommand } from "./command.ts";

/** `verify DIR`: holds an engine against reference weights, gradients and trajectories. */
export const command = defineCommand({
  summary: "Hold an engine against a directory of reference weights, gradients and losses",
  usage: "DIR [--engine=NAME] [--json]",
  options: {
    engine: text("an engine").default("onnx").register(about, { help: "Engine to check" }),
    json: truth().default(false).register(about, { help: "Print one JSON line" }),
  },
  example: "lockstep verify tests/fixtures/nanogpt-tiny --engine=reference --json",
  async run({ options, words }) {
    const [directory] = words;
    if (directory === undefined || words.length > 1) {
      throw new LockstepError("E_USAGE", `Cannot verify: one directory is required, given ${words.length}`);
    }
    const verdict = await verify(directory, options.engine);
    if (options.json) console.log(JSON.stringify(verdict));
    else {
      console.log(`${verdict.case} on ${verdict.engine}: ${verdict.pass ? "passed" : "FAILED"}`);
      for (const [measure, difference] of Object.entries(verdict.worst)) {
        console.log(`  ${measure.padEnd(10)} differs by at most ${difference.toExponential(2)}`);
      }
    }
    return verdict.pass ? 0 : EXIT.failure;
  },
});
