import type { RunConfig } from "../shared/config/run_config.ts";
import type { Split } from "../shared/data/datasets/dataset.ts";
import type { StepScalars } from "../shared/schedule.ts";
import type { Request } from "../shared/tasks/task.ts";
import type { Computing, LoadOptions } from "./compute.ts";
import type { OnPartial, PartialEvent, TrainingOptions } from "./shard_trainer.ts";
import type { ComputeCalls } from "./compute_calls.ts";
import { ThreadCalls } from "./thread_calls.ts";

type Methods = { [K in keyof ComputeCalls]: ComputeCalls[K] };

/** Computes in a thread of its own, so that this one stays free for messages. */
export class ComputeClient implements Computing {
  readonly #calls: ThreadCalls<Methods, PartialEvent>;
  readonly #aborts = new Int32Array(new SharedArrayBuffer(4));

  constructor(onPartial: OnPartial) {
    this.#calls = new ThreadCalls(
      new URL("./compute_thread.ts", import.meta.url),
      ({ node, byteOffset }) => onPartial(node, byteOffset),
    );
    this.#calls.call("watch", this.#aborts);
  }

  load(config: RunConfig, options?: LoadOptions) {
    return this.#calls.call("load", config, options);
  }
  memory() {
    return this.#calls.call("memory");
  }
  initialize() {
    return this.#calls.call("initialize");
  }
  stateHash() {
    return this.#calls.call("stateHash");
  }
  download() {
    return this.#calls.call("download");
  }
  prepare(options: TrainingOptions) {
    return this.#calls.call("prepare", options);
  }
  fingerprint() {
    return this.#calls.call("fingerprint");
  }
  deal(shards: readonly number[]) {
    return this.#calls.call("deal", shards);
  }
  computeStep(step: number, audit: number | null) {
    return this.#calls.call("computeStep", step, audit, Atomics.load(this.#aborts, 0));
  }
  abort() {
    Atomics.add(this.#aborts, 0, 1);
  }
  apply(scalars: StepScalars, gradNorm: number) {
    return this.#calls.call("apply", scalars, gradNorm);
  }
  estimate(at: { split: Split; index: number }) {
    return this.#calls.call("estimate", at);
  }
  answer(request: Request) {
    return this.#calls.call("answer", request);
  }
  async close() {
    await this.#calls.call("close");
    this.#calls.terminate();
  }
}
