import assert from "node:assert/strict";
import { stepScalars } from "../../../shared/schedule.ts";
import { Arena } from "../../../worker/arena.ts";
import { loadKernels } from "../../../worker/kernels/kernels.ts";
import { AdamW, decayRanges } from "../../../worker/optimizer/adamw.ts";
import { adamwReference } from "../kernels/reference.ts";

const tensors = [
  { name: "wte.weight", shape: [5, 3], offset: 0 },
  { name: "c_attn.weight", shape: [2, 3, 2], offset: 15 },
  { name: "ln.weight", shape: [7], offset: 27 },
  { name: "ln.bias", shape: [2], offset: 34 },
  { name: "head.weight", shape: [1, 5], offset: 36 },
];
const LENGTH = 41;
const config = {
  learning_rate: 0.1,
  min_lr: 0.01,
  warmup_iters: 0,
  lr_decay_iters: 10,
  max_iters: 10,
  decay_lr: true,
  weight_decay: 0.5,
  beta1: Math.fround(0.9),
  beta2: Math.fround(0.95),
  eps: Math.fround(1e-8),
};

async function fixture() {
  const arena = Arena.create({ parameters: LENGTH, gradient: LENGTH, m: LENGTH, v: LENGTH });
  const regions = {
    parameters: arena.region("parameters"),
    gradient: arena.region("gradient"),
    m: arena.region("m"),
    v: arena.region("v"),
  };
  regions.parameters.view.forEach((_, i, p) => p[i] = Math.sin(i + 1));
  regions.gradient.view.forEach((_, i, g) => g[i] = Math.cos(3 * i));
  return { regions, optimizer: new AdamW(await loadKernels(arena), { regions, tensors, config }) };
}

Deno.test("decayRanges() joins neighbours that decay alike", () => {
  assert.deepEqual(decayRanges(tensors), [
    { start: 0, length: 27, decays: true },
    { start: 27, length: 9, decays: false },
    { start: 36, length: 5, decays: true },
  ]);
});

Deno.test("AdamW.apply() is nanoGPT's update, with decay for tensors of two dimensions and more", async () => {
  const { regions, optimizer } = await fixture();
  let [p, m, v] = [regions.parameters.view.slice(), new Float32Array(LENGTH), new Float32Array(LENGTH)];
  for (let step = 0; step < 3; step++) {
    const scalars = stepScalars(step, config);
    optimizer.apply(scalars, 0.75);
    const update = (decay: number) =>
      adamwReference({ p, g: regions.gradient.view, m, v }, {
        scale: 0.75,
        beta1: config.beta1,
        beta2: config.beta2,
        eps: config.eps,
        decay,
        step: Math.fround(scalars.learningRate / scalars.biasCorrection1),
        root: Math.fround(1 / Math.sqrt(scalars.biasCorrection2)),
      });
    const [decayed, plain] = [update(Math.fround(1 - scalars.learningRate * 0.5)), update(1)];
    [p, m, v] = [decayed.p.map((x, i) => i >= 27 && i < 36 ? plain.p[i] : x), decayed.m, decayed.v];
    assert.deepEqual([regions.parameters.view, regions.m.view, regions.v.view], [p, m, v]);
  }
});

Deno.test("AdamW.stateHash() sees any change of parameters and moments", async () => {
  const { regions, optimizer } = await fixture();
  const before = optimizer.stateHash();
  assert.match(before, /^[0-9a-f]{32}$/);
  for (const region of [regions.parameters, regions.m, regions.v]) {
    const kept = region.view[40];
    region.view[40] = 5;
    assert.notEqual(optimizer.stateHash(), before);
    region.view[40] = kept;
  }
  regions.gradient.view[0] = 9;
  assert.equal(optimizer.stateHash(), before);
});
