import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { printGraph } from "../../../worker/compiler/graph.ts";
import type { TensorType } from "../../../worker/compiler/op.ts";
import { type Signature, trace } from "../../../worker/compiler/trace.ts";
import { f32, runGraph } from "./run_graph.ts";

tf.enableProdMode(); // no advice to install another backend

type Tensors = Record<string, tf.Tensor>;

const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
const int = (...shape: number[]): TensorType => ({ dtype: "int32", shape });

async function assertTrace(
  fn: (args: Tensors) => Tensors,
  signature: Signature,
  text: string,
): Promise<void> {
  assert.equal(printGraph(await trace(fn, signature)), text);
}

/** This file and a line and column in it, as refusals name them. */
const HERE = String.raw`\(at file://\S+/trace_test\.ts:\d+:\d+\)`;

async function assertRefused(
  fn: (args: Tensors) => Tensors,
  signature: Signature,
  expected: { code: string; message: RegExp },
): Promise<void> {
  await assert.rejects(() => trace(fn, signature), expected);
}

Deno.test("trace() writes down what a function does to symbolic tensors", () =>
  assertTrace(
    ({ x, w }) => ({ y: tf.relu(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D, false, true)) }),
    { x: float(2, 3), w: float(4, 3) },
    `\
input x: float32[2,3]
input w: float32[4,3]
%0: float32[2,4] = matMul(x, w, transposeA=false, transposeB=true, alpha=1)
%1: float32[2,4] = relu(%0)
output y = %1
`,
  ));

Deno.test("trace() writes down the backward pass of valueAndGrads", () =>
  assertTrace(
    ({ x }) => {
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => tf.sum(tf.mul(x, x)))(x);
      return { value, grad };
    },
    { x: float(2) },
    `\
input x: float32[2]
%0: float32[2] = mul(x, x)
%1: float32[] = reduceSum(%0, axes=[0], keepDims=false)
%2: float32[] = constant(data=[1])
%3: float32[1] = reshape(%2, shape=[1])
%4: float32[2] = fill(value=1)
%5: float32[2] = mul(%3, %4)
%6: float32[2] = cast(x, dtype="float32")
%7: float32[2] = mul(%5, %6)
%8: float32[2] = cast(x, dtype="float32")
%9: float32[2] = mul(%5, %8)
%10: float32[2] = add(%7, %9)
output value = %1
output grad = %10
`,
  ));

Deno.test("trace() reduces over the axes that were named, negative ones too", () =>
  assertTrace(
    ({ x }) => ({ max: tf.max(x, -1), sum: tf.sum(x, 0, true), mean: tf.mean(x), all: tf.max(x) }),
    { x: float(2, 3) },
    `\
input x: float32[2,3]
%0: float32[2] = reduceMax(x, axes=[1], keepDims=false)
%1: float32[1,3] = reduceSum(x, axes=[0], keepDims=true)
%2: float32[] = reduceMean(x, axes=[0,1], keepDims=false)
%3: float32[] = reduceMax(x, axes=[0,1], keepDims=false)
output max = %0
output sum = %1
output mean = %2
output all = %3
`,
  ));

Deno.test("trace() takes the maximum of each row in a log softmax, so that no row underflows", async () => {
  const graph = await trace(({ x }) => ({ y: tf.logSoftmax(x) }), { x: float(2, 2) });
  const { y } = await runGraph(graph, { x: f32([2, 2], 500, 500, -500, -500) });
  y.data.forEach((value) => assert.ok(Math.abs(value + Math.LN2) < 1e-6, `${value}`));
});

Deno.test("trace() makes the mean of integers a float32", () =>
  assertTrace(
    ({ x }) => ({ y: tf.mean(x) }),
    { x: int(4) },
    `\
input x: int32[4]
%0: float32[4] = cast(x, dtype="float32")
%1: float32[] = reduceMean(%0, axes=[0], keepDims=false)
output y = %1
`,
  ));

Deno.test("trace() gives the operands of a product equal ranks", () =>
  assertTrace(
    ({ x, w }) => ({ y: tf.matMul(x as tf.Tensor3D, w as tf.Tensor2D) }),
    { x: float(2, 3, 4), w: float(4, 5) },
    `\
input x: float32[2,3,4]
input w: float32[4,5]
%0: float32[1,4,5] = reshape(w, shape=[1,4,5])
%1: float32[2,3,5] = matMul(x, %0, transposeA=false, transposeB=false, alpha=1)
output y = %1
`,
  ));

Deno.test("trace() stores small constants, and makes a fill of a large uniform one", () =>
  assertTrace(
    () => ({
      small: tf.tensor1d([1, 2.5]),
      uniform: tf.tensor2d(new Float32Array(200_000).fill(3), [2, 100_000]),
      ones: tf.ones([2]),
      range: tf.range(0, 6, 2, "int32"),
      scalar: tf.scalar(true),
    }),
    {},
    `\
%0: float32[2] = constant(data=[1,2.5])
%1: float32[2,100000] = fill(value=3)
%2: float32[2] = fill(value=1)
%3: int32[3] = range(dtype="int32", start=0, step=2, length=3)
%4: bool[] = constant(data=[1])
output small = %0
output uniform = %1
output ones = %2
output range = %3
output scalar = %4
`,
  ));

Deno.test("trace() lets the function declare inputs as it goes", async () => {
  const graph = await trace(
    ({ x }, declare) => ({ y: tf.mul(x, declare("mask", float(2))) }),
    { x: float(2) },
  );
  assert.deepEqual(graph.inputs.map(({ name }) => name), ["x", "mask"]);
});

Deno.test("trace() refuses an unknown op with the line that used it", async () => {
  await assertRefused(({ x }) => ({ y: tf.cumsum(x) }), { x: float(2) }, {
    code: "E_UNSUPPORTED_OP",
    message: new RegExp(
      `^Cannot compile the op Cumsum ${HERE}: the compiler has no rule for it; write it with`,
    ),
  });
  const deep = (x: tf.Tensor) =>
    tf.tidy(() => tf.tidy(() => tf.losses.huberLoss(x, tf.tidy(() => tf.elu(x)))));
  await assertRefused(({ x }) => ({ y: deep(x) }), { x: float(2) }, {
    code: "E_UNSUPPORTED_OP",
    message: new RegExp(`^Cannot compile the op Elu ${HERE}`),
  });
});

Deno.test("trace() says so where only the gradient of an op is unknown", async () => {
  const withOddGradient = tf.customGrad((x) => ({
    value: tf.neg(x as tf.Tensor),
    gradFunc: (dy) => tf.cumsum(dy),
  }));
  await assertRefused(({ x }) => ({ y: tf.grad((x) => tf.sum(withOddGradient(x)))(x) }), { x: float(2) }, {
    code: "E_UNSUPPORTED_OP",
    message: /^Cannot compile the op Cumsum \(in the gradient of an op of the model\)/,
  });
});

Deno.test("trace() refuses the forms of an op that it does not know, with their line", async () => {
  const cases: [fn: (x: tf.Tensor) => tf.Tensor, sentence: string][] = [
    [(x) => tf.pad(x, [[1, 1], [0, 0]], 7), "Cannot compile tf\\.pad with the value 7: 0 is known"],
    [() => tf.oneHot(tf.zeros([2], "int32"), 3, 5), "Cannot compile tf\\.oneHot with the values 5 and 0"],
    [
      (x) => tf.gather(tf.expandDims(x, 2), tf.zeros([2, 1], "int32") as tf.Tensor2D, 1, 1),
      "Cannot compile tf\\.gather with batchDims 1 on axis 1",
    ],
    [(x) => tf.cast(x, "complex64"), "Cannot compile a tensor of dtype complex64"],
  ];
  for (const [fn, sentence] of cases) {
    await assertRefused(({ x }) => ({ y: fn(x) }), { x: float(2, 3) }, {
      code: "E_UNSUPPORTED_OP",
      message: new RegExp(`^${sentence}.* ${HERE}$`),
    });
  }
});

Deno.test("trace() refuses a model that reads a tensor's values", async () => {
  for (const read of [(x: tf.Tensor) => x.dataSync()[0], (x: tf.Tensor) => Number(x.arraySync())]) {
    await assertRefused(({ x }) => ({ y: tf.scalar(read(x)) }), { x: float() }, {
      code: "E_GRAPH",
      message: new RegExp(`^Cannot read a tensor's values \\(dataSync, arraySync\\) while .* ${HERE}$`),
    });
  }
});

Deno.test("trace() refuses a large constant that is not uniform", () =>
  assertRefused(
    () => ({ y: tf.tensor1d(Float32Array.from({ length: 65_537 }, (_, i) => i)) }),
    {},
    {
      code: "E_GRAPH",
      message: new RegExp(
        `^Cannot store a constant of 65537 elements in the graph as at most 65536 are stored: make it with tf\\.fill, tf\\.range and arithmetic ${HERE}$`,
      ),
    },
  ));

Deno.test("trace() refuses tensors from outside, of an earlier trace too", async () => {
  await tf.ready();
  const outside = tf.tensor1d([1, 2]);
  let kept: tf.Tensor | undefined;
  await trace(({ x }) => ({ y: kept = tf.keep(tf.neg(x)) }), { x: float(2) });
  for (const foreign of [outside, kept!]) {
    await assertRefused(({ x }) => ({ y: tf.add(x, foreign) }), { x: float(2) }, {
      code: "E_GRAPH",
      message: new RegExp(
        `^Cannot use a tensor made outside the traced function: pass it as an argument ${HERE}$`,
      ),
    });
  }
  outside.dispose();
});

Deno.test("trace() refuses operands that an op cannot take, with the line", () =>
  assertRefused(({ x }) => ({ y: tf.exp(x) }), { x: int(2) }, {
    code: "E_GRAPH",
    message: new RegExp(`^Cannot apply exp: it needs float32, given int32\\[2\\] ${HERE}$`),
  }));

Deno.test("trace() hands on the errors of TensorFlow.js and of the function as they are", async () => {
  await assert.rejects(
    trace(({ x }) => ({ y: tf.reshape(x, [5]) }), { x: float(2) }),
    /Size\(2\) must match the product of shape 5/,
  );
  const mine = new Error("mine");
  await assert.rejects(
    trace(() => {
      throw mine;
    }, {}),
    mine,
  );
});

Deno.test("trace() restores the backend, the stack limit and the scopes, after a failure too", async () => {
  await tf.setBackend("cpu");
  const before = { tensors: tf.memory().numTensors, limit: Error.stackTraceLimit };
  const unchanged = () => {
    assert.equal(tf.getBackend(), "cpu");
    assert.deepEqual({ tensors: tf.memory().numTensors, limit: Error.stackTraceLimit }, before);
  };
  await trace(({ x }) => ({ y: tf.neg(tf.neg(x)) }), { x: float(2) });
  unchanged();
  await assert.rejects(
    trace(({ x }) => ({ y: tf.tidy(() => tf.grad((x) => tf.elu(x))(x)) }), { x: float(2) }),
  );
  unchanged();
});

Deno.test("trace() calls take turns, so that none runs on another's backend", async () => {
  await tf.setBackend("cpu");
  const graphs = await Promise.all(
    [1, 2, 3].map((n) => trace(({ x }) => ({ y: tf.tile(x, [n]) }), { x: float(2) })),
  );
  assert.deepEqual(graphs.map((graph) => graph.type(graph.outputs[0].value).shape), [[2], [4], [6]]);
  assert.equal(tf.getBackend(), "cpu");
});
