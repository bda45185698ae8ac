import {
  about,
  fraction,
  nonNegativeNumber,
  optional,
  positiveNumber,
  truth,
  wholeNumber,
} from "../kinds.ts";

/** Keys of the step: batch, learning rate and AdamW, as in nanoGPT. */
export const optimizerKeys = {
  batch_size: wholeNumber(1).default(4).register(about, {
    unit: "sequences",
    help: "Sequences of a micro-batch, which one compiled step computes",
    numerics: true,
  }),
  gradient_accumulation_steps: wholeNumber(1).default(8).register(about, {
    unit: "micro-batches",
    help: "Micro-batches of a step, whatever the number of workers; as many workers can compute at most",
    numerics: true,
  }),
  // Where to stop does not change the steps before: only through lr_decay_iters does it reach the numerics.
  max_iters: wholeNumber(0).default(1000).register(about, {
    unit: "iterations",
    help: "Iterations to train for",
  }),
  learning_rate: positiveNumber().default(1e-3).register(about, {
    help: "Highest learning rate, reached after the warm-up",
    numerics: true,
  }),
  min_lr: nonNegativeNumber().default(1e-4).register(about, {
    help: "Learning rate at the end of the decay; at most learning_rate",
    numerics: true,
  }),
  warmup_iters: wholeNumber(0).default(100).register(about, {
    unit: "iterations",
    help: "Iterations over which the learning rate rises",
    numerics: true,
  }),
  lr_decay_iters: optional(wholeNumber(1)).default(null).register(about, {
    unit: "iterations",
    help: "Iteration at which the learning rate has come down to min_lr; none is max_iters",
    numerics: true,
  }),
  decay_lr: truth().default(true).register(about, {
    help: "Whether the learning rate warms up and comes down along a cosine; otherwise it is constant",
    numerics: true,
  }),
  weight_decay: nonNegativeNumber().default(0.1).register(about, {
    help: "AdamW's decay of parameters with two dimensions or more",
    numerics: true,
  }),
  beta1: fraction().default(0.9).register(about, {
    help: "AdamW's decay of the first moment",
    numerics: true,
  }),
  beta2: fraction().default(0.95).register(about, {
    help: "AdamW's decay of the second moment",
    numerics: true,
  }),
  eps: positiveNumber().default(1e-8).register(about, {
    help: "AdamW's addend in the denominator",
    numerics: true,
  }),
  grad_clip: nonNegativeNumber().default(1).register(about, {
    help: "Largest norm of the gradient, longer ones are scaled down; 0 is off",
    numerics: true,
  }),
};
