import type { Batch } from "../shared/data/datasets/dataset.ts";
import type { Region } from "../worker/arena.ts";
import type { BatchShape, EngineOptions, Trainer } from "../worker/engines/engine.ts";
import { ReferenceEngine } from "../worker/engines/reference.ts";

/**
 * An engine whose gradients cost nothing, to measure what a step costs besides computing: batches, reduction, optimizer,
 * messages, ledger.
 *
 *     deno task train sort-demo --engine=./bench/idle_engine.ts --nproc_per_node=2 --log_interval=1
 */
class IdleEngine extends ReferenceEngine {
  override readonly name = "idle";

  override trainer(_shape: BatchShape): Promise<Trainer> {
    return Promise.resolve({
      graph: null,
      gradients(_batch: Batch, gradient: Region) {
        gradient.view.fill(2 ** -20);
        return Promise.resolve(1);
      },
    });
  }
}

/** What `--engine=PATH` calls. */
export function open(options: EngineOptions): IdleEngine {
  return new IdleEngine(options);
}
