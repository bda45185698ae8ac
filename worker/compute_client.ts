import type { RunConfig } from "../shared/config/run_config.ts";
import type { Split } from "../shared/data/datasets/dataset.ts";
import type { StepScalars } from "../shared/schedule.ts";
import type { Request } from "../shared/tasks/task.ts";
import type { Computing, LoadOptions } from "./compute.ts";
import type { OnPartial, PartialEvent, ShardPlan } from "./shard_trainer.ts";
import { ThreadCalls } from "./thread_calls.ts";

type Methods = { [K in keyof Computing]: Computing[K] };

/** Computes in a thread of its own, so that this one stays free for messages. */
export class ComputeClient implements Computing {
  readonly #calls: ThreadCalls<Methods, PartialEvent>;

  constructor(onPartial: OnPartial) {
    this.#calls = new ThreadCalls(
      new URL("./compute_thread.ts", import.meta.url),
      ({ node, byteOffset }) => onPartial(node, byteOffset),
    );
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
  configure(plan: ShardPlan) {
    return this.#calls.call("configure", plan);
  }
  computeStep(step: number) {
    return this.#calls.call("computeStep", step);
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
