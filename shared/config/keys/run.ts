import { GPT2_NAMES } from "../../gpt2_names.ts";
import { duration } from "../duration.ts";
import { about, nonNegativeNumber, optional, path, text, truth, wholeNumber, wordOr } from "../kinds.ts";

/** Keys of a run: where it starts, where it writes, what it keeps and prints. */
export const runKeys = {
  init_from: wordOr(["scratch", "resume", "auto", ...GPT2_NAMES], path("weights")).default("scratch")
    .register(about, {
      help:
        "Start from new weights, from out_dir's newest checkpoint, from either as there is one (auto), or from weights: of " +
        "GPT-2, a run, transformers or nanoGPT (docs/weights.md)",
    }),
  out_dir: optional(text("a folder")).default(null).register(about, {
    help: "The run's folder; none is out/PRESET, or the next free out/PRESET-2 …",
  }),
  seed: wholeNumber(0, 2 ** 32 - 1).default(1337).register(about, {
    help: "Decides initial weights, order of samples and dropout",
    numerics: true,
  }),
  always_save_checkpoint: truth().default(true).register(about, {
    help: "Whether to save at every evaluation; otherwise at each new best and at the end",
  }),
  // One to fall back to when the newest turns out to be damaged.
  keep_checkpoints: wholeNumber(2).default(2).register(about, {
    unit: "checkpoints",
    help: "How many of the newest are kept, besides the best",
  }),
  log_interval: wholeNumber(1).default(10).register(about, {
    unit: "iterations",
    help: "Iterations between two logged steps",
  }),
  tensorboard: truth().default(true).register(about, {
    help: "Whether to write TensorBoard's event file into the run's folder",
  }),
  eval_interval: wholeNumber(1).default(250).register(about, {
    unit: "iterations",
    help: "Iterations between two estimates of the loss",
  }),
  max_time: optional(duration()).default(null).register(about, {
    unit: "minutes",
    help:
      "How long each start of the run may take: it saves and ends with 75 while there is still time for that, to be resumed",
  }),
  eval_only: truth().default(false).register(about, {
    help: "Whether to end after the first estimate of the loss",
  }),
};

/** Keys of what is measured while a run goes on and at its end. */
export const evaluationKeys = {
  task_data: optional(text("a folder")).default(null).register(about, {
    help: "Folder of the questions of lambada, arc_easy, babi and glue (docs/evaluation.md)",
  }),
  eval_iters: wholeNumber(1).default(20).register(about, {
    unit: "micro-batches",
    help: "Micro-batches over which a loss is estimated",
  }),
  eval_samples: wholeNumber(0, 64).default(1).register(about, {
    unit: "samples",
    help:
      "What the model writes at each estimate after the first step, kept in samples.jsonl; 0 leaves it out",
  }),
  early_stopping_patience: optional(wholeNumber(1)).default(null).register(about, {
    unit: "estimates",
    help:
      "Estimates in a row without a lower validation loss after which the run ends, and its best checkpoint is the one " +
      "that is evaluated; none trains all max_iters and evaluates the last",
  }),
  early_stopping_threshold: nonNegativeNumber().default(0).register(about, {
    unit: "nats",
    help: "By more than this a validation loss must be below the lowest before it to count as lower",
  }),
  eval_items: wholeNumber(0).default(1000).register(about, {
    unit: "items",
    help: "Items of the task's evaluation at the end; 0 leaves it out",
  }),
};
