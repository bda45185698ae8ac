/**
 * `speed_probe.ts ENGINE DEVICE`: has an engine compute a step of a tiny model, which must come out right, and steps of a
 * small one, and prints as a line of JSON how fast these are. A process of its own, as a native library may crash it.
 */
import type { ModelConfig } from "../../shared/config/model_config.ts";
import { prepareStepBench } from "../bench_step.ts";
import { type Found, isDevice, tryEngine } from "./compute_probe.ts";
import type { Device } from "./engine.ts";

/** 0.4 million parameters: a step is some milliseconds on a CPU with SIMD, and half a second in plain JavaScript. */
const SMALL: ModelConfig = {
  n_layer: 2,
  n_head: 4,
  n_embd: 128,
  block_size: 64,
  vocab_size: 64,
  bias: false,
  dropout: 0,
  activation: "gelu",
  attention: "causal",
  reflex: null,
};

const BATCH_SIZE = 8;
const MEASURE_MS = 300;

/** GFLOP/s of the fastest of the steps that {@link MEASURE_MS} has room for, after one that is not counted. */
async function measure(engine: string, device: Device): Promise<number> {
  await using bench = await prepareStepBench({
    config: SMALL,
    batchSize: BATCH_SIZE,
    length: SMALL.block_size,
    engine,
    device,
    threads: 1,
  });
  let best = await bench.step(); // compiles and warms up
  for (const end = performance.now() + MEASURE_MS; performance.now() < end;) {
    best = Math.min(best, await bench.step());
  }
  return bench.flops / best / 1e6; // a FLOP a millisecond is 1e-6 GFLOP/s
}

async function find(engine: string, device: string): Promise<Found & { gflops?: number }> {
  if (!isDevice(device)) throw new Error(`Cannot probe ${device}: it is no device`);
  const found = await tryEngine(engine, device);
  return found.works ? { works: true, gflops: await measure(engine, device) } : found;
}

if (import.meta.main) {
  const [engine = "", device = ""] = Deno.args;
  console.log(JSON.stringify(await find(engine, device)));
  Deno.exit(0); // whatever a library still has open
}
