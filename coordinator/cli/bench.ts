import { about, choice, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { benchAllReduce, serveAllReduce } from "./bench_allreduce.ts";
import { benchAttention, benchStep } from "./bench_step.ts";
import { defineCommand } from "./command.ts";
import { rerunFor } from "./engine_process.ts";

/** `bench step|allreduce`: measurements of this machine. */
export const command = defineCommand({
  summary: "Measure a training step or the all-reduce on this machine",
  usage: "step|allreduce [options]",
  options: {
    shape: text("B,T,L,H,C,V").default("12,64,4,4,128,65").register(about, {
      help: "step: batch, tokens, layers, heads, channels, vocabulary",
    }),
    attention: choice(benchAttention).default("causal").register(about, { help: "step: attention variant" }),
    engine: text("an engine").default("onnx").register(about, { help: "step: engine" }),
    threads: wholeNumber(1).default(1).register(about, {
      help: "step: threads of one computation",
      unit: "threads",
    }),
    steps: wholeNumber(1).default(20).register(about, { help: "step: steps measured, after three more" }),
    serve: truth().default(false).register(about, {
      help: 'Answer lines {"steps":K} (allreduce: {"count":K}) with times, for interleaving',
    }),
    profile: truth().default(false).register(about, {
      help: "step: print a table of the program's operators, with the engine onnx",
    }),
    workers: wholeNumber(1).default(2).register(about, { help: "allreduce: processes" }),
    elements: wholeNumber(1).default(10_700_000).register(about, {
      help: "allreduce: float32 numbers",
      unit: "numbers",
    }),
    encrypted: truth().default(false).register(about, {
      help: "allreduce: as if each process were on a host of its own, over encrypted tcp",
    }),
    json: truth().default(false).register(about, { help: "Print one JSON line" }),
  },
  example: "lockstep bench step --shape=12,64,4,4,128,65 --threads=1 --json",
  async run({ options, words }) {
    const [what] = words;
    if (what === "step") return await rerunFor(options.engine) ?? await benchStep(options);
    if (what === "allreduce" && options.serve) await serveAllReduce(options);
    else if (what === "allreduce") await showAllReduce(options);
    else {throw new LockstepError(
        "E_USAGE",
        `Cannot measure ${what ?? "nothing"}: step or allreduce is required`,
      );}
    return 0;
  },
});

async function showAllReduce(
  { workers, elements, encrypted, json }: {
    workers: number;
    elements: number;
    encrypted: boolean;
    json: boolean;
  },
): Promise<void> {
  const figures = await benchAllReduce({ workers, elements, encrypted });
  if (json) console.log(JSON.stringify({ workers, elements, encrypted, ...figures }));
  else for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(10)} ${value}`);
}
