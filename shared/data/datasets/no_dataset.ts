import type { Dataset } from "./dataset.ts";

/** For members that only measure with tasks, which bring their own items: nothing has to be there to train on. */
export const NO_DATASET: Dataset = {
  vocabSize: 0,
  sources: {},
  trainBatch: refuse,
  sampleBatch: refuse,
  close() {},
};

function refuse(): never {
  throw new Error("Cannot draw a batch: this member was loaded for tasks only");
}
