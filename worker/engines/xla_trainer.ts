import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { Region } from "../arena.ts";
import { GRADIENT } from "../compiler/passes/flatten_parameters.ts";
import { UNSCALE } from "../compiler/passes/unscale_outputs.ts";
import type { DropoutMasks } from "./dropout_masks.ts";
import type { DropoutKey, Trainer } from "./engine.ts";
import type { HostArray } from "./pjrt.ts";
import { meanScale } from "./slices.ts";
import type { XlaInputs, XlaProgram } from "./xla_program.ts";

export interface XlaTrainerParts {
  readonly program: XlaProgram;
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
    const { program, masks, parameters, narrow } = this.parts;
    masks?.fill(key, { firstRow: 0, rows: batch.batchSize, batchSize: batch.batchSize });
    const mean = meanScale(batch);
    const scale = narrow ? lossScale(mean) : 1;
    const inputs = {
      ...parameters(),
      ...this.#masks,
      tokens: new Int32Array(batch.tokens),
      targets: new Int32Array(batch.targets),
      scale: Float32Array.of(mean * scale),
      [UNSCALE]: Float32Array.of(1 / scale),
    };
    await program.read(inputs, { loss: this.#loss, [GRADIENT]: gradient.view });
    return this.#loss[0];
  }
}
