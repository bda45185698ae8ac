/** What the learning rate and the bias corrections depend on: nanoGPT's names, steps counted from 0. */
export interface ScheduleConfig {
  learning_rate: number;
  min_lr: number;
  /** Steps of linear warm-up. */
  warmup_iters: number;
  /** The step from which on the rate is `min_lr`; null is `max_iters`. */
  lr_decay_iters: number | null;
  max_iters: number;
  /** False keeps `learning_rate` throughout. */
  decay_lr: boolean;
  beta1: number;
  beta2: number;
}

/** What STEP carries, float32 numbers: powers and cosines are computed once and sent, so all members use the same bits. */
export interface StepScalars {
  learningRate: number;
  /** 1 − beta1^(step+1). */
  biasCorrection1: number;
  /** 1 − beta2^(step+1). */
  biasCorrection2: number;
}

/** nanoGPT's learning rate at `step`: linear warm-up, then a cosine from `learning_rate` down to `min_lr`. */
export function learningRateAt(step: number, config: ScheduleConfig): number {
  const { learning_rate, min_lr, warmup_iters } = config;
  if (!config.decay_lr) return learning_rate;
  if (step < warmup_iters) return learning_rate * (step + 1) / (warmup_iters + 1);
  const last = config.lr_decay_iters ?? config.max_iters;
  if (step >= last) return min_lr;
  const progress = (step - warmup_iters) / (last - warmup_iters);
  return min_lr + 0.5 * (1 + Math.cos(Math.PI * progress)) * (learning_rate - min_lr);
}

/** The scalars of update `step`, counted from 0, rounded to float32. */
export function stepScalars(step: number, config: ScheduleConfig): StepScalars {
  return {
    learningRate: Math.fround(learningRateAt(step, config)),
    biasCorrection1: Math.fround(1 - config.beta1 ** (step + 1)),
    biasCorrection2: Math.fround(1 - config.beta2 ** (step + 1)),
  };
}
