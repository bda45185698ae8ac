import { Graph, type Node } from "../graph.ts";
import type { ValueId } from "../op.ts";

/**
 * What a pass does with one node: `inputs` are its operands in the new graph `to`. It returns the values that
 * replace the node's outputs, or nothing to keep the node as it is.
 */
export type Rule = (node: Node, inputs: ValueId[], to: Graph) => ValueId[] | undefined;

/** Copies `graph` node by node, asking `rule` about each. */
export function rewrite(graph: Graph, rule: Rule): Graph {
  const to = new Graph();
  const moved = new Map<ValueId, ValueId>();
  const map = mapper(moved);
  for (const { name, value } of graph.inputs) moved.set(value, to.input(name, graph.type(value)));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(map);
    const outputs = rule(node, inputs, to) ?? to.add(node.op, inputs, node.attrs);
    node.outputs.forEach((id, i) => moved.set(id, outputs[i]));
  }
  for (const { name, value } of graph.outputs) to.output(name, map(value));
  return to;
}

/** Copies the nodes of `graph` behind those of `to`, given where its inputs are; returns what finds the copy of a value. */
export function copyNodes(
  graph: Graph,
  { to, moved }: { to: Graph; moved: Map<ValueId, ValueId> },
): (id: ValueId) => ValueId {
  const map = mapper(moved);
  for (const { op, inputs, attrs, outputs } of graph.nodes) {
    const made = to.add(op, inputs.map(map), attrs);
    outputs.forEach((id, i) => moved.set(id, made[i]));
  }
  return map;
}

function mapper(moved: ReadonlyMap<ValueId, ValueId>): (id: ValueId) => ValueId {
  return (id) => {
    const value = moved.get(id);
    if (value === undefined) throw new RangeError(`Cannot rewrite: %${id} is read before it is made`);
    return value;
  };
}
