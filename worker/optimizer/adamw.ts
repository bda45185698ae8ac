import type { StepScalars } from "../../shared/schedule.ts";
import type { Region } from "../arena.ts";
import { addHash, type BlockHash, HASH_BLOCK, hashHex, hashPart } from "../kernels/block_hash.ts";
import type { Kernels } from "../kernels/kernels.ts";

/** A parameter tensor and where it starts in the flat parameters, in numbers. */
export interface FlatTensor {
  name: string;
  shape: readonly number[];
  offset: number;
}

/** Neighbouring numbers of the flat parameters that decay alike. */
export interface DecayRange {
  start: number;
  length: number;
  decays: boolean;
}

/**
 * nanoGPT's decay groups as ranges of the flat parameters: tensors of two dimensions and more decay, others do not.
 * `tensors` follow each other without gaps.
 */
export function decayRanges(tensors: readonly FlatTensor[]): DecayRange[] {
  const ranges: DecayRange[] = [];
  for (const { shape, offset } of tensors) {
    const length = shape.reduce((product, size) => product * size, 1);
    const decays = shape.length >= 2;
    const last = ranges.at(-1);
    if (last !== undefined && last.decays === decays) last.length += length;
    else ranges.push({ start: offset, length, decays });
  }
  return ranges;
}

/** The optimizer's flat regions, all in the arena of its kernels and equally long. */
export interface AdamWRegions {
  parameters: Region;
  /** The reduced gradient of the step; left as it is. */
  gradient: Region;
  m: Region;
  v: Region;
}

/** Constants of a run. */
export interface AdamWConfig {
  weight_decay: number;
  beta1: number;
  beta2: number;
  eps: number;
}

/** What AdamW updates, and with what constants. */
export interface AdamWOptions {
  readonly regions: AdamWRegions;
  readonly tensors: readonly FlatTensor[];
  readonly config: AdamWConfig;
}

/** What one update multiplies with, the same for all parameters. */
export interface AdamWScalars {
  /** What parameters that decay are multiplied with. */
  readonly decay: number;
  readonly stepSize: number;
  /** What √v is multiplied with. */
  readonly root: number;
}

export function adamwScalars(
  { learningRate, biasCorrection1, biasCorrection2 }: StepScalars,
  { weight_decay }: Pick<AdamWConfig, "weight_decay">,
): AdamWScalars {
  return {
    decay: 1 - learningRate * weight_decay,
    stepSize: learningRate / biasCorrection1,
    root: 1 / Math.sqrt(biasCorrection2),
  };
}

/**
 * AdamW with decoupled weight decay (Loshchilov and Hutter 2019) on flat parameters, in place; a step allocates
 * nothing. The same bits on every CPU.
 */
export class AdamW {
  readonly #ranges: DecayRange[];
  readonly #hash: BlockHash = new Uint32Array(4);
  readonly #total: BlockHash = new Uint32Array(4);

  constructor(private readonly kernels: Kernels, private readonly options: AdamWOptions) {
    this.#ranges = decayRanges(options.tensors);
  }

  /** Applies the gradient, multiplied with `scale` (see clipScale), once. */
  apply(scalars: StepScalars, scale: number): void {
    const { regions: { parameters, gradient, m, v }, config } = this.options;
    const { decay, stepSize, root } = adamwScalars(scalars, config);
    for (const { start, length, decays } of this.#ranges) {
      const skip = 4 * start;
      this.kernels.adamw(
        parameters.byteOffset + skip,
        gradient.byteOffset + skip,
        m.byteOffset + skip,
        v.byteOffset + skip,
        length,
        scale,
        config.beta1,
        config.beta2,
        decays ? decay : 1,
        stepSize,
        root,
        config.eps,
      );
    }
  }

  /** The hash of parameters and moments, 32 hex digits: equal states, and in practice only those, have equal ones. */
  stateHash(): string {
    const { parameters, m, v } = this.options.regions;
    this.#total.fill(0);
    let firstBlock = 0;
    for (const { byteOffset, length } of [parameters, m, v]) {
      hashPart(this.kernels, { byteOffset, length, firstBlock }, this.#hash);
      addHash(this.#total, this.#hash);
      firstBlock += Math.ceil(length / HASH_BLOCK);
    }
    return hashHex(this.#total);
  }
}
