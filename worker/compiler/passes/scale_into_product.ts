import { countUses, type Graph, type NodeOf, sizeOf, uniformValue } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/**
 * Moves multiplications by a scalar into the alpha of matrix products: (a·b)·s where nothing else reads a·b, and
 * (x·s)·b. Scores, GELU and its gradient lose a pass over memory each.
 */
export function scaleIntoProduct(graph: Graph): Graph {
  const uses = countUses(graph);
  return rewrite(graph, (node, inputs, to) => {
    if (node.op === "mul") {
      const factor = uniformValue(to, inputs[1]);
      const product = to.producer(inputs[0]);
      if (factor === undefined || product?.op !== "matMul" || uses.get(node.inputs[0]) !== 1) return;
      // A uniform tensor of more elements or dimensions than the product would have widened it.
      if (to.type(inputs[1]).shape.length > to.type(inputs[0]).shape.length) return;
      if (sizeOf(to.type(inputs[1])) > 1) return;
      return to.add("matMul", product.inputs, scaled(product, factor));
    }
    if (node.op === "matMul") {
      const operands = inputs.map((id) => unscale(to, id));
      const factor = operands[0].factor * operands[1].factor;
      if (factor !== 1) return to.add("matMul", operands.map(({ id }) => id), scaled(node, factor));
    }
  });
}

function scaled({ attrs }: NodeOf<"matMul">, factor: number): NodeOf<"matMul">["attrs"] {
  return { ...attrs, alpha: attrs.alpha * factor };
}

/** x and s of a value x · s, looking through a reshape. */
function unscale(to: Graph, id: ValueId): { id: ValueId; factor: number } {
  const node = to.producer(id);
  if (node?.op === "reshape") {
    const inner = unscale(to, node.inputs[0]);
    return inner.factor === 1
      ? { id, factor: 1 }
      : { id: to.add("reshape", [inner.id], node.attrs)[0], factor: inner.factor };
  }
  const factor = node?.op === "mul" ? uniformValue(to, node.inputs[1]) : undefined;
  if (node === undefined || factor === undefined || !sameShape(to, id, node.inputs[0])) {
    return { id, factor: 1 };
  }
  return { id: node.inputs[0], factor };
}

function sameShape(to: Graph, a: ValueId, b: ValueId): boolean {
  return `${to.type(a).shape}` === `${to.type(b).shape}`;
}
