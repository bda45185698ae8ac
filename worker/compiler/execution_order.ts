import type { OnnxModel, OnnxNode } from "./onnx_file.ts";

/** How many nodes one root is tried for: longer stretches are rare, and looking for them is slow. */
const LONGEST_STRETCH = 32;

/**
 * Makes ONNX Runtime compute the nodes in the order in which they stand. By itself it walks from the nodes that nothing
 * reads, the last of the file first, to what they need, and each node's inputs from the last to the first
 * (GraphViewer's depth-first search): all gradients of weights come at the very end, when what they read has left the
 * caches and every layer's still waits in memory. So such nodes stand in reverse, and where that is not enough an anchor
 * is put among them: a node that reads a value and makes nothing (`Shape` of no axes).
 */
export function fixExecutionOrder(model: OnnxModel): OnnxModel {
  const { nodes } = model;
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const isLeaf = (node: OnnxNode) => !node.outputs.some((name) => read.has(name));
  let anchors = 0;
  const leaves = findRoots(nodes).map((index) => {
    const node = nodes[index];
    return isLeaf(node) ? node : anchor(node.outputs.find((name) => read.has(name)) ?? "", anchors++);
  });
  return { ...model, nodes: [...nodes.filter((node) => !isLeaf(node)), ...leaves.reverse()] };
}

function anchor(value: string, number: number): OnnxNode {
  return { op: "Shape", inputs: [value], outputs: [`anchor${number}`], attributes: { start: 0, end: 0 } };
}

/** Nodes from which the search, begun at one after the other, meets all nodes in their order; every leaf is among them. */
function findRoots(nodes: readonly OnnxNode[]): number[] {
  const maker = new Map(nodes.flatMap((node, index) => node.outputs.map((name) => [name, index])));
  const makers = nodes.map(({ inputs }) =>
    inputs.flatMap((name) => maker.get(name) ?? []).toSorted((a, b) => a - b)
  );
  const roots: number[] = [];
  for (let begin = 0; begin < nodes.length; begin = roots[roots.length - 1] + 1) {
    let root = begin;
    for (let last = begin + 1; last < Math.min(nodes.length, begin + LONGEST_STRETCH); last++) {
      if (search(makers, { begin, root: last }).every((index, i) => index === begin + i)) root = last;
    }
    roots.push(root);
  }
  return roots;
}

/** The order in which ONNX Runtime comes to `root` when all before `begin` is done; the root is the last. */
function search(
  makers: readonly (readonly number[])[],
  { begin, root }: { begin: number; root: number },
): number[] {
  const seen = new Set<number>();
  const order: number[] = [];
  const visit = (index: number) => {
    if (index < begin || seen.has(index)) return;
    seen.add(index);
    makers[index].toReversed().forEach(visit);
    order.push(index);
  };
  visit(root);
  return order;
}
