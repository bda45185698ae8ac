import { countUses, type Graph } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/** a·b + c on matrices becomes one `gemm`, where nothing else reads a·b: residuals, biases, sums of gradients. */
export function sumIntoProduct(graph: Graph): Graph {
  const uses = countUses(graph);
  return rewrite(graph, (node, inputs, to) => {
    if (node.op !== "add") return;
    for (const i of [1, 0]) {
      const [product, other] = [to.producer(inputs[i]), inputs[1 - i]];
      if (product?.op !== "matMul" || uses.get(node.inputs[i]) !== 1 || !fits(to, inputs[i], other)) continue;
      return to.add("gemm", [...product.inputs, other], product.attrs);
    }
  });
}

/** `product` is a matrix and `other` broadcasts into it. */
function fits(to: Graph, product: ValueId, other: ValueId): boolean {
  const [shape, added] = [to.type(product).shape, to.type(other).shape];
  return shape.length === 2 && added.length <= 2 &&
    added.every((size, i) => size === 1 || size === shape[i + 2 - added.length]);
}
