import type { Graph } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/** Computes equal nodes (same op, attributes and operands) once. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const known = new Map<string, ValueId[]>();
  return rewrite(graph, (node, inputs, to) => {
    const key = `${node.op}(${inputs}) ${JSON.stringify(node.attrs, negativeZero)}`;
    const outputs = known.get(key) ?? to.add(node.op, inputs, node.attrs);
    known.set(key, outputs);
    return outputs;
  });
}

/** JSON writes −0 as 0 and NaN as null: keep such constants apart. */
function negativeZero(_: string, value: unknown): unknown {
  return typeof value === "number" && (Object.is(value, -0) || !Number.isFinite(value))
    ? `${1 / value} ${value}`
    : value;
}
