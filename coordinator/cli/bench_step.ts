import { join } from "node:path";
import { prepareStepBench, type StepBench, type StepBenchOptions } from "../../worker/bench_step.ts";
import { readOnnxProfile } from "../../worker/engines/onnx_profile.ts";
import type { ModelConfig } from "../../shared/config/model_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { profileTable } from "./profile_table.ts";

/** The attention variants that `bench step --attention` measures. */
export const benchAttention = ["causal", "reflex-hidden", "reflex-kv", "linear", "top_k", "router"] as const;
export type BenchAttention = typeof benchAttention[number];

export interface BenchStepOptions {
  /** B,T,L,H,C,V. */
  readonly shape: string;
  readonly attention: BenchAttention;
  readonly engine: string;
  readonly threads: number;
  readonly steps: number;
  readonly json: boolean;
  readonly serve: boolean;
  readonly profile: boolean;
}

const WARM_UP = 3;

/** `bench step`: times whole training steps at one shape. Resolves to the exit status. */
export async function benchStep(options: BenchStepOptions): Promise<number> {
  const [batchSize, length, n_layer, n_head, n_embd, vocab_size] = parseShape(options.shape);
  const config = benchModel({ n_layer, n_head, n_embd, vocab_size, block_size: length }, options.attention);
  const { engine, threads } = options;
  if (options.profile) {
    return await profileSteps({ config, batchSize, length, engine, threads }, options.steps);
  }
  await using bench = await prepareStepBench({ config, batchSize, length, engine, threads });
  for (let i = 0; i < WARM_UP; i++) await bench.step();
  if (options.serve) {
    await serve(bench);
    return 0;
  }
  const result = {
    shape: options.shape,
    attention: options.attention,
    engine,
    threads,
    ...await measure(bench, options.steps),
  };
  if (options.json) console.log(JSON.stringify(result));
  else for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(25)} ${value}`);
  return 0;
}

/** Prints where the time of steps goes, those before the first measured one too. */
async function profileSteps(options: StepBenchOptions, steps: number): Promise<number> {
  if (options.engine !== "onnx") {
    throw new LockstepError(
      "E_USAGE",
      `Cannot profile the engine ${options.engine}: onnx alone tells its operators' times`,
    );
  }
  const folder = await Deno.makeTempDir({ prefix: "lockstep-profile-" });
  try {
    let ms = 0;
    {
      await using bench = await prepareStepBench({ ...options, profile: join(folder, "onnx") });
      for (let i = 0; i < steps; i++) ms += await bench.step();
    }
    const profiles = [...Deno.readDirSync(folder)].map(({ name }) =>
      Deno.readTextFileSync(join(folder, name))
    );
    console.log(profileTable(profiles.flatMap(readOnnxProfile), { steps, ms }));
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(bench: StepBench, steps: number) {
  const times: number[] = [];
  const allocated: number[] = [];
  for (let i = 0; i < steps; i++) {
    const before = allocatedBytes();
    times.push(await bench.step());
    allocated.push(allocatedBytes() - before);
  }
  const at = (values: number[], share: number) =>
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];
  const median = at(times, 0.5);
  return {
    steps,
    ms_median: round(median),
    ms_p10: round(at(times, 0.1)),
    ms_p90: round(at(times, 0.9)),
    tokens_per_sec: round(bench.tokens / median * 1000),
    gflops: round(bench.flops / median / 1e6),
    /** Of JavaScript's heap, buffers included; the median, so that a collection in between does not count. */
    bytes_allocated_per_step: Math.max(0, at(allocated, 0.5)),
  };
}

function allocatedBytes(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

const round = (x: number) => Math.round(x * 1000) / 1000;

/** Answers each line {"steps": K} with {"ms": […]}, so that another program can take turns with this one. */
async function serve(bench: StepBench): Promise<void> {
  console.log(JSON.stringify({ ready: true, tokens: bench.tokens, flops: bench.flops }));
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const { steps } = JSON.parse(line);
      const ms: number[] = [];
      for (let i = 0; i < steps; i++) ms.push(await bench.step());
      console.log(JSON.stringify({ ms }));
    }
  }
}

function parseShape(text: string): number[] {
  const shape = text.split(",").map(Number);
  if (shape.length !== 6 || !shape.every((n) => Number.isInteger(n) && n > 0)) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot read the shape ${text}: six whole numbers B,T,L,H,C,V are required, for example 12,64,4,4,128,65`,
    );
  }
  if (shape[4] % shape[3] !== 0) {
    throw new LockstepError(
      "E_MODEL",
      `Cannot build the model as C must divide by H: given C ${shape[4]}, H ${shape[3]}`,
    );
  }
  return shape;
}

type Size = Pick<ModelConfig, "n_layer" | "n_head" | "n_embd" | "vocab_size" | "block_size">;

function benchModel(size: Size, attention: BenchAttention): ModelConfig {
  const plain = { ...size, bias: false, dropout: 0, activation: "gelu", reflex: null } as const;
  if (attention === "causal" || attention === "router") return { ...plain, attention };
  const third = Math.floor(size.n_head / 3);
  return {
    ...plain,
    attention: "reflex",
    reflex: {
      heads: [size.n_head - 2 * third, third, third],
      depth: 2,
      source: attention === "reflex-kv" ? "kv" : "hidden",
      combine: attention === "linear" || attention === "top_k" ? attention : "concat",
      top_k: attention === "top_k" ? 1 : null,
      layers: "all",
    },
  };
}
