import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { Region } from "../arena.ts";
import { GRADIENT } from "../compiler/passes/flatten_parameters.ts";
import { UNSCALE } from "../compiler/passes/unscale_outputs.ts";
import type { DropoutMasks } from "./dropout_masks.ts";
import type { DropoutKey, Shard, Subtree, Trainer } from "./engine.ts";
import type { HostArray, PjrtBuffer, PjrtProgram } from "./pjrt.ts";
import { meanScale } from "./slices.ts";
import type { XlaInputs, XlaProgram } from "./xla_program.ts";

export interface XlaTrainerParts {
  readonly program: XlaProgram;
  /** Adds two gradients (xla_add.ts). */
  readonly add: PjrtProgram;
  readonly masks: DropoutMasks | null;
  /** Whether the program multiplies float16, whose smallest number is 6e-8 and whose largest 65,504. */
  readonly narrow: boolean;
  /** The flat parameters as they are now. */
  parameters(): XlaInputs;
}

/**
 * What the loss, a mean with that factor, is multiplied with in float16: a power of two, so that nothing is rounded, after
 * which the gradient of each target's loss counts 8 to 16 times. It depends on the batch alone, so that all members use
 * the same one; a gradient that is too large for it all the same becomes infinite, and the run stops with E_NON_FINITE.
 */
export function lossScale(mean: number): number {
  return mean === 0 ? 1 : 2 ** (3 + Math.ceil(-Math.log2(mean)));
}

/** Computes whole micro-batches: a device is the faster the more it has to do at once. */
export class XlaTrainer implements Trainer {
  readonly graph: string;
  readonly #loss = new Float32Array(1);
  readonly #masks: Readonly<Record<string, HostArray>>;

  constructor(private readonly parts: XlaTrainerParts) {
    const { program: { hash, sites }, masks } = parts;
    this.graph = hash;
    this.#masks = masks === null
      ? {}
      : Object.fromEntries(sites.map((site) => [site.name, masks.view(site)]));
  }

  async gradients(batch: Batch, gradient: Region, key: DropoutKey): Promise<number> {
    const computed = await this.#compute({ batch, key });
    using sum = computed.gradient;
    await sum.read(gradient.view);
    return computed.loss;
  }

  async sumSubtree(subtree: Subtree, gradient: Region): Promise<number[] | null> {
    const losses: number[] = [];
    using sum = await this.#sum(subtree, losses);
    if (sum === null) return null;
    await sum.read(gradient.view);
    return losses;
  }

  /** The sum of a node's gradients on the device; a part's memory becomes that of the whole. */
  async #sum(subtree: Subtree, losses: number[]): Promise<PjrtBuffer | null> {
    const { first, left, right } = subtree.tree.nodes[subtree.node];
    if (left < 0) {
      if (subtree.isAborted()) return null;
      const { loss, gradient } = await this.#compute(subtree.shard(first));
      losses.push(loss);
      return gradient;
    }
    using a = await this.#sum({ ...subtree, node: left }, losses);
    using b = a === null ? null : await this.#sum({ ...subtree, node: right }, losses);
    if (a === null || b === null) return null;
    return (await this.parts.add.execute([a, b], 1))[0];
  }

  /** The loss of a micro-batch, and its gradient on the device. */
  async #compute({ batch, key }: Shard): Promise<{ loss: number; gradient: PjrtBuffer }> {
    const { program, masks, parameters, narrow } = this.parts;
    masks?.fill(key, { firstRow: 0, rows: batch.batchSize, batchSize: batch.batchSize });
    const mean = meanScale(batch);
    const scale = narrow ? lossScale(mean) : 1;
    const outputs = await program.run({
      ...parameters(),
      ...this.#masks,
      tokens: new Int32Array(batch.tokens),
      targets: new Int32Array(batch.targets),
      scale: Float32Array.of(mean * scale),
      [UNSCALE]: Float32Array.of(1 / scale),
    });
    using given = new DisposableStack();
    const gradient = given.use(outputs[GRADIENT]);
    using loss = outputs.loss;
    await loss.read(this.#loss);
    given.move(); // the gradient is the caller's
    return { loss: this.#loss[0], gradient };
  }
}
