import assert from "node:assert/strict";
import { learningRateAt, stepScalars } from "../../shared/schedule.ts";

const config = {
  learning_rate: 1e-3,
  min_lr: 1e-4,
  warmup_iters: 10,
  lr_decay_iters: 110,
  max_iters: 200,
  decay_lr: true,
  beta1: 0.9,
  beta2: 0.99,
};
const close = (a: number, b: number) => assert.ok(Math.abs(a - b) <= 1e-12, `${a} is not ${b}`);

Deno.test("learningRateAt() warms up linearly, follows a cosine, and stays at min_lr", () => {
  close(learningRateAt(0, config), 1e-3 / 11);
  close(learningRateAt(9, config), 1e-3 * 10 / 11);
  close(learningRateAt(10, config), 1e-3);
  close(learningRateAt(60, config), 5.5e-4);
  close(learningRateAt(110, config), 1e-4);
  close(learningRateAt(150, config), 1e-4);
});

Deno.test("learningRateAt() decays until max_iters without lr_decay_iters, and not at all without decay_lr", () => {
  close(learningRateAt(105, { ...config, lr_decay_iters: null }), 5.5e-4);
  assert.equal(learningRateAt(0, { ...config, decay_lr: false }), 1e-3);
  assert.equal(learningRateAt(500, { ...config, decay_lr: false }), 1e-3);
});

Deno.test("learningRateAt() needs no cosine where warm-up ends at the last step", () => {
  assert.equal(learningRateAt(10, { ...config, lr_decay_iters: 10 }), 1e-4);
});

Deno.test("stepScalars() gives the learning rate and the bias corrections as float32 numbers", () => {
  assert.deepEqual(stepScalars(10, config), {
    learningRate: Math.fround(1e-3),
    biasCorrection1: Math.fround(1 - 0.9 ** 11),
    biasCorrection2: Math.fround(1 - 0.99 ** 11),
  });
});
