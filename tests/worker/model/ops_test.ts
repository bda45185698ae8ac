import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { CounterRandom } from "../../../shared/random.ts";
import { optimize } from "../../../worker/compiler/optimize.ts";
import { peakBytes } from "../../../worker/compiler/peak_memory.ts";
import { trace } from "../../../worker/compiler/trace.ts";
import {
  attention,
  crossEntropy,
  gelu,
  geluTanh,
  largest,
  layerNorm,
  linear,
  negativeLogLikelihood,
  projectHeads,
  queryBlocks,
} from "../../../worker/model/ops.ts";
import { assertCompiles, assertValuesClose, runEagerly } from "../compiler/assert_compiles.ts";
import { f32, i32, type Value } from "../compiler/run_graph.ts";

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

/** N(0, scale) numbers, the same for the same name. */
function random(name: string, shape: number[], scale = 1): Value {
  const numbers = CounterRandom.fromSeed(3, name);
  const size = shape.reduce((a, b) => a * b, 1);
  return f32(shape, ...Array.from({ length: size }, (_, i) => scale * numbers.normal(i)));
}

/** The op's value, and its gradients for a different dy at every element. */
function withGradients(op: Op): (args: Record<string, tf.Tensor>) => Record<string, tf.Tensor> {
  return (args) => {
    const inputs = Object.values(args);
    const grads = tf.grads((...xs) => tf.sum(tf.sin(op(...xs))))(inputs);
    return { value: op(...inputs), ...Object.fromEntries(grads.map((grad, i) => [`grad${i}`, grad])) };
  };
}

/** Asserts that the op equals its plain composition, with autodiff's gradients: eagerly, and compiled. */
async function assertSameAsPlain(op: Op, plain: Op, inputs: Value[], tolerance = 5e-6): Promise<void> {
  const named = Object.fromEntries(inputs.map((value, i) => [`in${i}`, value]));
  const expected = await runEagerly(withGradients(plain), named);
  assertValuesClose(await runEagerly(withGradients(op), named), expected, tolerance);
  await assertCompiles(withGradients(op), named, tolerance);
}

const plainLinear = (x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor) => {
  const y = tf.matMul(x as tf.Tensor2D, tf.transpose(weight) as tf.Tensor2D);
  return bias === undefined ? y : tf.add(y, bias);
};

const fusedLinear = (x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor) =>
  linear(x as tf.Tensor2D, weight as tf.Tensor2D, bias as tf.Tensor1D | undefined);

Deno.test("linear() is x Wᵀ, and x Wᵀ + b", async () => {
  const inputs = [random("x", [5, 3]), random("w", [4, 3]), random("b", [4])];
  await assertSameAsPlain(fusedLinear, plainLinear, inputs);
  await assertSameAsPlain(fusedLinear, plainLinear, inputs.slice(0, 2));
});

Deno.test("projectHeads() is a linear map with the heads apart and first, with and without bias", async () => {
  const [heads, headSize] = [3, 2];
  const plain: Op = (...args) =>
    tf.transpose(tf.reshape(plainLinear(args[0], args[1], args[2]), [-1, heads, headSize]), [1, 0, 2]);
  const fused: Op = (x, weight, bias) =>
    projectHeads(x as tf.Tensor2D, {
      weight: weight as tf.Tensor2D,
      bias: bias as tf.Tensor1D | undefined,
      heads,
    });
  const inputs = [random("x", [5, 4]), random("w", [6, 4]), random("b", [6])];
  await assertSameAsPlain(fused, plain, inputs);
  await assertSameAsPlain(fused, plain, inputs.slice(0, 2));
});

Deno.test("layerNorm() normalises each row with the biased variance, with and without bias", async () => {
  const fused: Op = (x, weight, bias) =>
    layerNorm(x as tf.Tensor2D, weight as tf.Tensor1D, bias as tf.Tensor1D | undefined);
  const plain: Op = (x, weight, bias) => {
    const { mean, variance } = tf.moments(x, 1, true);
    const y = tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), weight);
    return bias === undefined ? y : tf.add(y, bias);
  };
  const inputs = [random("x", [4, 8], 3), random("w", [8]), random("b", [8])];
  await assertSameAsPlain(fused, plain, inputs);
  await assertSameAsPlain(fused, plain, inputs.slice(0, 2));
});

Deno.test("layerNorm() makes 0 of a row of equal numbers", async () => {
  const { y } = await runEagerly(
    ({ x, w }) => ({ y: layerNorm(x as tf.Tensor2D, w as tf.Tensor1D) }),
    { x: f32([1, 3], 5, 5, 5), w: f32([3], 1, 2, 3) },
  );
  assert.deepEqual(y.data, [0, 0, 0]);
});

Deno.test("gelu() is x/2 · (1 + erf(x/√2)), also where exp(x²) overflows", async () => {
  const plain: Op = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const x = f32([2, 8], ...[-1e10, -40, -14, -3, -1, -0.25, 0, -0, 0.1, 0.5, 1, 2, 5, 14, 20, 1000]);
  await assertSameAsPlain((x) => gelu(x as tf.Tensor2D), (x) => plain(x), [random("x", [3, 50], 2)]);
  const slope = await runEagerly(({ x }) => ({ y: tf.grad((x) => tf.sum(gelu(x as tf.Tensor2D)))(x) }), {
    x,
  });
  for (
    const data of [slope.y.data, (await runEagerly(({ x }) => ({ y: gelu(x as tf.Tensor2D) }), { x })).y.data]
  ) {
    assert.ok(data.every(Number.isFinite), `${data}`);
  }
  assert.deepEqual(slope.y.data.filter((_, i) => Math.abs(x.data[i]) >= 14), [0, 0, 0, 1, 1, 1]);
});

Deno.test("geluTanh() is GPT-2's approximation and near gelu()", async () => {
  const plain: Op = (x) => {
    const inner = tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
  };
  const x = random("x", [3, 50], 2);
  await assertSameAsPlain((x) => geluTanh(x as tf.Tensor2D), plain, [x]);
  const both = await runEagerly(
    ({ x }) => ({ tanh: geluTanh(x as tf.Tensor2D), erf: gelu(x as tf.Tensor2D) }),
    { x },
  );
  const apart = Math.max(...both.tanh.data.map((y, i) => Math.abs(y - both.erf.data[i])));
  assert.ok(apart > 1e-5 && apart < 1e-3, `${apart}`);
});

/** Attention written out over all T × T scores. */
const plainAttention: Op = (q, k, v, drop) => {
  const [, length, headSize] = q.shape;
  const index = tf.range(0, length);
  const ahead = tf.greater(tf.expandDims(index, 0), tf.expandDims(index, 1));
  const scores = tf.div(tf.matMul(q as tf.Tensor3D, k as tf.Tensor3D, false, true), Math.sqrt(headSize));
  const p = tf.softmax(tf.where(ahead, tf.onesLike(scores).mul(-1e30), scores) as tf.Tensor3D);
  return tf.matMul((drop === undefined ? p : tf.mul(p, drop)) as tf.Tensor3D, v as tf.Tensor3D);
};

const LENGTHS = {
  1: "one token",
  5: "one block",
  128: "two blocks of queries",
  203: "three uneven blocks",
};

for (const [length, title] of Object.entries(LENGTHS)) {
  const T = Number(length);
  const [q, k, v] = ["q", "k", "v"].map((name) => random(name, [2, T, 2]));
  const fused: Op = (q, k, v) => attention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D);

  Deno.test(`attention() of ${title} equals softmax over all scores`, () =>
    assertSameAsPlain(fused, plainAttention, [q, k, v], 1e-5));

  Deno.test(`attention() of ${title} multiplies the probabilities by the dropout mask`, async () => {
    const numbers = CounterRandom.fromSeed(1, "drop");
    const mask = f32(
      [2, T, T],
      ...Array.from({ length: 2 * T * T }, (_, i) => numbers.uniform(i) < 0.2 ? 0 : 1.25),
    );
    // The mask has no gradient of its own: it is made inside, as a constant.
    const drop = () => tf.tensor(mask.data.slice(), [2, T, T]) as tf.Tensor3D;
    const named = { q, k, v };
    const dropped = withGradients((q, k, v) =>
      attention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, { drop: drop() })
    );
    const plain = withGradients((q, k, v) => plainAttention(q, k, v, drop()));
    assertValuesClose(await runEagerly(dropped, named), await runEagerly(plain, named), 1e-5);
  });
}

Deno.test("attention() that does not keep its probabilities equals softmax over all scores, also with dropout", async () => {
  const T = 203;
  const inputs = ["q", "k", "v"].map((name) => random(name, [2, T, 2], 2));
  const fused = (drop?: tf.Tensor3D): Op => (q, k, v) =>
    attention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, { drop, keep: false });
  await assertSameAsPlain(fused(), plainAttention, inputs, 1e-5);

  const numbers = CounterRandom.fromSeed(2, "drop");
  const mask = Array.from({ length: 2 * T * T }, (_, i) => numbers.uniform(i) < 0.2 ? 0 : 1.25);
  const drop = () => tf.tensor3d(mask, [2, T, T]);
  const named = Object.fromEntries(["q", "k", "v"].map((name, i) => [name, inputs[i]]));
  const dropped = await runEagerly(withGradients((q, k, v) => fused(drop())(q, k, v)), named);
  const plain = withGradients((q, k, v) => plainAttention(q, k, v, drop()));
  assertValuesClose(dropped, await runEagerly(plain, named), 1e-5);
});

Deno.test("attention() above 1,024 tokens keeps no scores for the backward pass", async () => {
  const heads = 8;
  const peak = async (length: number) => {
    const type = { dtype: "float32", shape: [heads, length, 2] } as const;
    const fused: Op = (q, k, v) => attention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D);
    return peakBytes(optimize(await trace(withGradients(fused), { q: type, k: type, v: type })));
  };
  const scores = (length: number) => 4 * heads * length ** 2 / 2; // bytes of what is not masked
  const [kept, made] = [await peak(1024), await peak(1025)];
  assert.ok(kept > scores(1024), `${kept}`);
  assert.ok(made < 0.6 * scores(1025), `${made}`);
});

Deno.test("attention() lets no query see what lies ahead", async () => {
  const T = 140;
  const [q, k, v] = ["q", "k", "v"].map((name) => random(name, [1, T, 2]));
  const changed = (value: Value): Value => ({
    ...value,
    data: value.data.map((x, i) => i < 2 * 100 ? x : x + 9),
  });
  const run = (k: Value, v: Value) =>
    runEagerly((args) => ({
      y: attention(args.q as tf.Tensor3D, args.k as tf.Tensor3D, args.v as tf.Tensor3D),
    }), { q, k, v });
  const [before, after] = [await run(k, v), await run(changed(k), changed(v))];
  assert.deepEqual(after.y.data.slice(0, 200), before.y.data.slice(0, 200));
  assert.notDeepEqual(after.y.data.slice(200), before.y.data.slice(200));
});

Deno.test("queryBlocks() cuts the queries into blocks of 64 … 100 that follow each other, one below 128, at most 16", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), (length) => {
    const blocks = queryBlocks(length);
    const sizes = blocks.map(({ begin, end }) => end - begin);
    assert.deepEqual(blocks.map(({ begin }) => begin), [0, ...blocks.slice(0, -1).map(({ end }) => end)]);
    assert.equal(blocks.at(-1)?.end, length);
    assert.ok(sizes.every((size) => size > 0));
    assert.ok(blocks.length <= 16);
    if (length < 128) assert.equal(blocks.length, 1);
    else assert.ok(sizes.slice(0, -1).every((size) => size >= 64), `${sizes}`);
    if (length <= 16 * 80) assert.ok(sizes.every((size) => size <= 100), `${sizes}`);
  }));
});

const LOGITS = random("logits", [5, 4], 3);
const TARGETS = [2, -1, 0, -1, 3];

/** The rows of {@link LOGITS} as float64: −log softmax at the target, 0 where it is −1. */
function likelihoods(targets: number[]): number[] {
  return targets.map((target, row) => {
    if (target < 0) return 0;
    const logits = LOGITS.data.slice(row * 4, row * 4 + 4);
    return Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[target];
  });
}

Deno.test("crossEntropy() is the scaled sum over the rows with a target, and so is its gradient", async () => {
  const plain = (targets: number[]): Op => (logits, scale) => {
    const counted = tf.tensor2d(targets.map((t) => t < 0 ? 0 : 1), [5, 1]);
    const hot = tf.oneHot(tf.tensor1d(targets.map((t) => Math.max(0, t)), "int32"), 4, 1, 0, "float32");
    const p = tf.div(tf.exp(logits), tf.sum(tf.exp(logits), 1, true));
    return tf.mul(tf.neg(tf.sum(tf.mul(tf.mul(tf.log(p), hot), counted))), scale);
  };
  for (const targets of [TARGETS, [0, 1, 2, 3, 0], [-1, -1, -1, -1, -1]]) {
    const named = { logits: LOGITS };
    const scale = 0.37;
    const fused: Op = (logits) =>
      crossEntropy(logits as tf.Tensor2D, tf.tensor1d(targets, "int32"), tf.scalar(scale));
    const composed: Op = (logits) => plain(targets)(logits, tf.scalar(scale));
    const expected = await runEagerly(withGradients(composed), named);
    assertValuesClose(await runEagerly(withGradients(fused), named), expected, 1e-6);
    await assertCompiles(withGradients(fused), named);
    const sum = likelihoods(targets).reduce((a, b) => a + b) * scale;
    assert.ok(Math.abs(expected.value.data[0] - sum) < 1e-5);
  }
});

Deno.test("crossEntropy() and its gradient are exact for logits far apart between and within rows", async () => {
  const inputs = { logits: f32([3, 2], 1000, 1000, -1000, -1000, 500, -500), targets: i32([3], 0, 1, 1) };
  const fn = ({ logits, targets }: Record<string, tf.Tensor>) => {
    const loss = (x: tf.Tensor) => crossEntropy(x as tf.Tensor2D, targets as tf.Tensor1D, tf.scalar(1));
    return { value: loss(logits), grad: tf.grad(loss)(logits) };
  };
  const { value, grad } = await runEagerly(fn, inputs);
  assert.ok(Math.abs(value.data[0] - (2 * Math.LN2 + 1000)) < 1e-3);
  grad.data.forEach((g, i) =>
    assert.ok(Math.abs(g - [-0.5, 0.5, 0.5, -0.5, 1, -1][i]) < 1e-6, `${grad.data}`)
  );
  await assertCompiles(fn, inputs);
});

Deno.test("negativeLogLikelihood() is that of each target, 0 without one", async () => {
  const fn = ({ logits, targets }: Record<string, tf.Tensor>) => ({
    y: negativeLogLikelihood(logits as tf.Tensor2D, targets as tf.Tensor1D),
  });
  const inputs = { logits: LOGITS, targets: i32([5], ...TARGETS) };
  assertValuesClose(await runEagerly(fn, inputs), { y: f32([5], ...likelihoods(TARGETS)) }, 1e-6);
  await assertCompiles(fn, inputs);
});

/** [scores, count, chosen] */
const CHOICES: [number[], number, number[]][] = [
  [[0.1, 0.7, 0.2], 1, [0, 1, 0]],
  [[0.1, 0.7, 0.2], 2, [0, 1, 1]],
  [[0.1, 0.7, 0.2], 3, [1, 1, 1]],
  [[0.5, 0.5, 0.5, 0.5], 2, [1, 1, 0, 0]],
  [[0.2, 0.5, 0.2, 0.5], 1, [0, 1, 0, 0]],
  [[0.2, 0.5, 0.2, 0.5], 3, [1, 1, 0, 1]],
  [[-1, -2], 1, [1, 0]],
  [[3], 1, [1]],
];

Deno.test("largest() marks the count largest entries, of equal ones the first, and has no gradient", async () => {
  for (const [scores, count, chosen] of CHOICES) {
    const inputs = { scores: f32([1, scores.length], ...scores) };
    const fn = ({ scores }: Record<string, tf.Tensor>) => {
      const op = (x: tf.Tensor) => tf.sum(tf.mul(largest(x as tf.Tensor2D, count), x));
      return { y: largest(scores as tf.Tensor2D, count), grad: tf.grad(op)(scores) };
    };
    const { y, grad } = await runEagerly(fn, inputs);
    assert.deepEqual(y.data, chosen, `${scores}`);
    assert.deepEqual(grad.data, chosen, `${scores}`); // that of the product alone
    await assertCompiles(fn, inputs);
  }
});
