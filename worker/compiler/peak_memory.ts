import { type Graph, type Node, sizeOf } from "./graph.ts";
import type { TensorType, ValueId } from "./op.ts";

const BYTES = { float32: 4, int32: 4, bool: 1 } as const;

/** Ops whose result is another view of their operand. */
const VIEWS: ReadonlySet<string> = new Set(["reshape"]);

/**
 * The most bytes that values made inside the graph take at once, when its nodes are computed in their order and a value
 * goes as soon as nothing reads it any more. Inputs and outputs are not counted: their memory is the caller's.
 */
export function peakBytes(graph: Graph): number {
  const owner = findOwners(graph);
  const outside = new Set([...graph.inputs, ...graph.outputs].map(({ value }) => owner(value)));
  const lastRead = new Map<ValueId, Node>();
  for (const node of graph.nodes) for (const id of node.inputs) lastRead.set(owner(id), node);

  let [live, peak] = [0, 0];
  for (const node of graph.nodes) {
    if (VIEWS.has(node.op) || node.op === "constant") continue;
    const made = node.outputs.filter((id) => !outside.has(id));
    live += sum(graph, made);
    peak = Math.max(peak, live);
    const read = [...new Set(node.inputs.map(owner))];
    const gone = read.filter((id) => lastRead.get(id) === node && !outside.has(id) && isMade(graph, id));
    live -= sum(graph, [...gone, ...made.filter((id) => !lastRead.has(id))]);
  }
  return peak;
}

/** Follows views to the value whose memory they show. */
function findOwners(graph: Graph): (id: ValueId) => ValueId {
  return function owner(id): ValueId {
    const node = graph.producer(id);
    return node !== undefined && VIEWS.has(node.op) ? owner(node.inputs[0]) : id;
  };
}

function isMade(graph: Graph, id: ValueId): boolean {
  const node = graph.producer(id);
  return node !== undefined && node.op !== "constant";
}

const sum = (graph: Graph, ids: readonly ValueId[]) =>
  ids.reduce((total, id) => total + bytesOf(graph.type(id)), 0);

const bytesOf = (type: TensorType) => BYTES[type.dtype] * sizeOf(type);
