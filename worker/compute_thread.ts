/// <reference lib="deno.worker" />
/** A thread that computes; it answers calls of {@link Computing} and posts partial sums as events. */
import { Compute } from "./compute.ts";
import type { PartialEvent } from "./shard_trainer.ts";
import { type Answer, answerCall, type Call } from "./thread_calls.ts";

const post = (answer: Answer) => self.postMessage(answer);

const compute = new Compute((node, byteOffset) =>
  post({ event: { node, byteOffset } satisfies PartialEvent })
);
const methods = {
  load: compute.load.bind(compute),
  memory: compute.memory.bind(compute),
  initialize: compute.initialize.bind(compute),
  stateHash: compute.stateHash.bind(compute),
  download: compute.download.bind(compute),
  configure: compute.configure.bind(compute),
  computeStep: compute.computeStep.bind(compute),
  apply: compute.apply.bind(compute),
  estimate: compute.estimate.bind(compute),
  answer: compute.answer.bind(compute),
  close: compute.close.bind(compute),
} satisfies Record<keyof Compute, unknown>;

self.onmessage = async ({ data }: MessageEvent<Call>) => post(await answerCall(methods, data));
