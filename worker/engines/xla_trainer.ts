import type { Batch } from "../../shared/data/datasets/dataset.ts";
import type { Region } from "../arena.ts";
import { GRADIENT } from "../compiler/passes/flatten_parameters.ts";
import type { DropoutMasks } from "./dropout_masks.ts";
import type { DropoutKey, Trainer } from "./engine.ts";
import type { HostArray } from "./pjrt.ts";
import { meanScale } from "./slices.ts";
import type { XlaInputs, XlaProgram } from "./xla_program.ts";

export interface XlaTrainerParts {
  readonly program: XlaProgram;
  readonly masks: DropoutMasks | null;
  /** The flat parameters as they are now. */
  parameters(): XlaInputs;
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
    const { program, masks, parameters } = this.parts;
    masks?.fill(key, { firstRow: 0, rows: batch.batchSize, batchSize: batch.batchSize });
    const inputs = {
      ...parameters(),
      ...this.#masks,
      tokens: new Int32Array(batch.tokens),
      targets: new Int32Array(batch.targets),
      scale: Float32Array.of(meanScale(batch)),
    };
    await program.read(inputs, { loss: this.#loss, [GRADIENT]: gradient.view });
    return this.#loss[0];
  }
}
