import type { Graph, NodeOf } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/**
 * What moves and computes cost in ONNX Runtime on a CPU, in ns: a transposed element, and what a multiplication and
 * addition of aᵀ·b takes longer than one of a·b. Measured on an AMD EPYC with AVX2 (docs/performance.md).
 */
const TRANSPOSE_NS = 1.4;
const SLOWER_NS = 0.008;

/**
 * Weight gradients aᵀ·b (K rows, M and N columns) are slower than plain products. Transposes a first, or b and the
 * result, (bᵀ·a)ᵀ = aᵀ·b, where that costs less than it gains.
 */
export function transposeForProduct(graph: Graph): Graph {
  return rewrite(graph, (node, inputs, to) => {
    if (node.op !== "matMul" || !node.attrs.transposeA || node.attrs.transposeB) return;
    if (to.type(inputs[0]).shape.length !== 2) return;
    return transposed(to, node, inputs);
  });
}

function transposed(to: Graph, node: NodeOf<"matMul">, [a, b]: ValueId[]): ValueId[] | undefined {
  const [K, M] = to.type(a).shape;
  const N = to.type(b).shape[1];
  const gain = SLOWER_NS * K * M * N;
  const ofA = TRANSPOSE_NS * K * M;
  const ofB = TRANSPOSE_NS * (K * N + M * N);
  if (Math.min(ofA, ofB) >= gain) return;
  const flip = (x: ValueId) => to.add("transpose", [x], { perm: [1, 0] })[0];
  const attrs = { transposeA: false, transposeB: false, alpha: node.attrs.alpha };
  if (ofA <= ofB) return to.add("matMul", [flip(a), b], attrs);
  return [flip(to.add("matMul", [flip(b), a], attrs)[0])];
}
