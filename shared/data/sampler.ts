/** How a step is cut: V virtual shards of B sequences each. */
export interface StepShape {
  /** V */
  readonly gradient_accumulation_steps: number;
  /** B, in sequences. */
  readonly batch_size: number;
}

/**
 * The number of the first sample in a micro-batch: samples count up through rows, virtual shards and steps, so that
 * which data a step sees does not depend on who computes it. Row b of the micro-batch is this number + b.
 */
export function firstSample(at: { step: number; shard: number }, shape: StepShape): number {
  return (at.step * shape.gradient_accumulation_steps + at.shard) * shape.batch_size;
}
