import { type Graph, type Node, uniformValue } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/**
 * Finds (x − mean) · 1/√(mean((x − mean)²) + ε) over the last axis and makes it one `normalize`, which engines
 * compute in a single pass over memory. Needs common subexpressions to be shared.
 */
export function recogniseNormalize(graph: Graph): Graph {
  const made = new Map<string, ValueId[]>(); // x and ε → [x̂, r]
  const byInverse = new Map<ValueId, { x: ValueId; normalized: ValueId }>(); // r → x and x̂
  return rewrite(graph, (node, inputs, to) => {
    if (node.op === "reciprocal") {
      const match = inverseDeviation(to, inputs[0]);
      if (match === undefined) return;
      const { x, epsilon } = match;
      const outputs = made.get(`${x} ${epsilon}`) ?? to.add("normalize", [x], { epsilon });
      made.set(`${x} ${epsilon}`, outputs);
      byInverse.set(outputs[1], { x, normalized: outputs[0] });
      return [outputs[1]];
    }
    if (node.op === "mul") {
      for (const [a, r] of [inputs, inputs.toReversed()]) {
        const known = byInverse.get(r);
        if (known !== undefined && centredOf(to, a) === known.x) return [known.normalized];
      }
    }
  });
}

/** x and ε if `id` is √(mean((x − mean(x))²) + ε). */
function inverseDeviation(to: Graph, id: ValueId): { x: ValueId; epsilon: number } | undefined {
  const root = producer(to, id, "sqrt");
  const sum = root && producer(to, root.inputs[0], "add");
  const epsilon = sum && uniformValue(to, sum.inputs[1]);
  const mean = sum && isScalar(to, sum.inputs[1]) && producer(to, sum.inputs[0], "reduceMean");
  const square = mean && isLastAxis(to, mean) && producer(to, mean.inputs[0], "mul");
  if (!square || square.inputs[0] !== square.inputs[1] || epsilon === undefined) return;
  const x = centredOf(to, square.inputs[0]);
  return x === undefined ? undefined : { x, epsilon };
}

/** x if `id` is x − mean(x) over the last axis. */
function centredOf(to: Graph, id: ValueId): ValueId | undefined {
  const difference = producer(to, id, "sub");
  const mean = difference && producer(to, difference.inputs[1], "reduceMean");
  if (!difference || !mean || !isLastAxis(to, mean) || mean.inputs[0] !== difference.inputs[0]) return;
  return difference.inputs[0];
}

/** A larger ε would repeat the variances. */
function isScalar(to: Graph, id: ValueId): boolean {
  return to.type(id).shape.length === 0;
}

function isLastAxis(to: Graph, node: Extract<Node, { op: "reduceMean" }>): boolean {
  const last = to.type(node.inputs[0]).shape.length - 1;
  return node.attrs.keepDims && node.attrs.axes.length === 1 && node.attrs.axes[0] === last;
}

function producer<K extends Node["op"]>(to: Graph, id: ValueId, op: K): Extract<Node, { op: K }> | undefined {
  const node = to.producer(id);
  return node?.op === op ? node as Extract<Node, { op: K }> : undefined;
}
