import assert from "node:assert/strict";
import { Graph } from "../../../worker/compiler/graph.ts";
import type { Op } from "../../../worker/compiler/op.ts";
import type { OpExample } from "./op_examples.ts";
import type { Value } from "./run_graph.ts";

/** A graph of one node, its inputs in0, in1, … and its outputs out0, out1, …. */
export function graphOf<K extends Op>(op: K, { inputs, attrs }: OpExample<K>): Graph {
  const graph = new Graph();
  const operands = inputs.map((value, i) => graph.input(`in${i}`, value));
  graph.add(op, operands, attrs).forEach((value, i) => graph.output(`out${i}`, value));
  return graph;
}

/** Asserts that values differ by 1e-6 of their size at most, or of 1. */
export function assertClose(actual: Value, expected: Value, tolerance = 1e-6): void {
  assert.deepEqual([actual.dtype, actual.shape], [expected.dtype, expected.shape]);
  actual.data.forEach((x, i) => {
    const wanted = expected.data[i];
    if (x === wanted) return;
    assert.ok(
      Math.abs(x - wanted) <= tolerance * Math.max(1, Math.abs(wanted)),
      `[${i}]: ${x}, not ${wanted}`,
    );
  });
}
