import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { optimize } from "../../../worker/compiler/optimize.ts";
import { trace } from "../../../worker/compiler/trace.ts";
import { runGraph, type Value } from "./run_graph.ts";

type Tensors = Record<string, tf.Tensor>;

tf.enableProdMode(); // no advice to install another backend

/** Runs a function of named tensors on TensorFlow.js's plain JavaScript backend. */
export async function runEagerly(
  fn: (args: Tensors) => Tensors,
  inputs: Readonly<Record<string, Value>>,
): Promise<Record<string, Value>> {
  await tf.setBackend("cpu");
  const results = tf.tidy(() =>
    fn(Object.fromEntries(
      Object.entries(inputs).map((
        [name, { data, shape, dtype }],
      ) => [name, tf.tensor([...data], [...shape], dtype)]),
    ))
  );
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => {
      const { dtype, shape } = tensor;
      if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") throw new TypeError(dtype);
      const value = { dtype, shape, data: Array.from(tensor.dataSync(), Number) };
      tensor.dispose();
      return [name, value];
    }),
  );
}

/** Asserts that a function traced, optimized and run by ONNX Runtime gives what TensorFlow.js gives eagerly. */
export async function assertCompiles(
  fn: (args: Tensors) => Tensors,
  inputs: Readonly<Record<string, Value>>,
  tolerance = 2e-6,
): Promise<void> {
  const expected = await runEagerly(fn, inputs);
  const graph = optimize(await trace(fn, inputs));
  assertValuesClose(await runGraph(graph, inputs), expected, tolerance);
}

/** Asserts equal names, dtypes and shapes, and numbers that differ by at most `tolerance` of the tensor's largest, or of 0.1. */
export function assertValuesClose(
  actual: Readonly<Record<string, Value>>,
  expected: Readonly<Record<string, Value>>,
  tolerance: number,
): void {
  assert.deepEqual(Object.keys(actual), Object.keys(expected));
  for (const [name, { dtype, shape, data }] of Object.entries(expected)) {
    assert.deepEqual([actual[name].dtype, actual[name].shape], [dtype, shape], name);
    const largest = Math.max(0.1, ...data.filter(Number.isFinite).map(Math.abs));
    data.forEach((wanted, i) => {
      const given = actual[name].data[i];
      const close = Object.is(given, wanted) || Math.abs(given - wanted) <= tolerance * largest;
      assert.ok(close, `${name}[${i}] is ${given}, not ${wanted}`);
    });
  }
}
