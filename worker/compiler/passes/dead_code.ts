import { Graph } from "../graph.ts";
import type { ValueId } from "../op.ts";

/** Leaves out the nodes whose results nothing reads. Inputs stay, used or not. */
export function removeDeadCode(graph: Graph): Graph {
  const live = new Set<ValueId>(graph.outputs.map((output) => output.value));
  const kept = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((id) => live.has(id))) return false;
    node.inputs.forEach((id) => live.add(id));
    return true;
  });
  const to = new Graph();
  const moved = new Map<ValueId, ValueId>();
  const map = (id: ValueId) => moved.get(id) ?? id;
  for (const { name, value } of graph.inputs) moved.set(value, to.input(name, graph.type(value)));
  for (const node of kept.reverse()) {
    const outputs = to.add(node.op, node.inputs.map(map), node.attrs);
    node.outputs.forEach((id, i) => moved.set(id, outputs[i]));
  }
  for (const { name, value } of graph.outputs) to.output(name, map(value));
  return to;
}
