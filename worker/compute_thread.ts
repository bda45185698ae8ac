/// <reference lib="deno.worker" />
/** A thread that computes; it answers calls of {@link Computing} and posts partial sums as events. */
import { Compute } from "./compute.ts";
import type { ComputeCalls } from "./compute_calls.ts";
import type { PartialEvent } from "./shard_trainer.ts";
import { type Answer, answerCall, type Call } from "./thread_calls.ts";

const post = (answer: Answer) => self.postMessage(answer);

const compute = new Compute((node, byteOffset) =>
  post({ event: { node, byteOffset } satisfies PartialEvent })
);
let aborts = new Int32Array(1);
const methods = {
  watch: (shared: Int32Array<ArrayBuffer>) => void (aborts = shared),
  load: compute.load.bind(compute),
  memory: compute.memory.bind(compute),
  initialize: compute.initialize.bind(compute),
  stateHash: compute.stateHash.bind(compute),
  download: compute.download.bind(compute),
  prepare: compute.prepare.bind(compute),
  fingerprint: compute.fingerprint.bind(compute),
  deal: compute.deal.bind(compute),
  computeStep: (step: number, audit: number | null, before: number) =>
    compute.computeStep(step, audit, () => Atomics.load(aborts, 0) !== before),
  apply: compute.apply.bind(compute),
  estimate: compute.estimate.bind(compute),
  answer: compute.answer.bind(compute),
  close: compute.close.bind(compute),
} satisfies Record<keyof ComputeCalls, unknown>;

self.onmessage = async ({ data }: MessageEvent<Call>) => post(await answerCall(methods, data));
