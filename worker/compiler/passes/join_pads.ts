import { countUses, formatType, type Graph, type NodeOf } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite } from "./rewrite.ts";

/**
 * The gradient of slices of one tensor is a sum of zero-padded parts; where the parts tile an axis this is one
 * `concat`. Turns the gradients of c_attn's queries, keys and values into one copy.
 */
export function joinPads(graph: Graph): Graph {
  const uses = countUses(graph);
  return rewrite(graph, (node, inputs, to) => {
    if (node.op !== "add" || !sameType(to, inputs)) return;
    const parts = inputs.map((id, i) => partsOf(to, id, uses.get(node.inputs[i]) ?? 0));
    if (parts[0] === undefined || parts[1] === undefined) return;
    const all = [...parts[0], ...parts[1]];
    const axis = commonAxis(all);
    if (axis === undefined) return;
    all.sort((a, b) => a.attrs.before[axis] - b.attrs.before[axis]);
    return joined(to, all, axis);
  });
}

/** False for a sum that repeats one of its operands to the size of the other. */
function sameType(to: Graph, [a, b]: ValueId[]): boolean {
  return formatType(to.type(a)) === formatType(to.type(b));
}

/** The pads that `id` is a sum of, if it is one: a pad, or the padded concat that an earlier join made. */
function partsOf(to: Graph, id: ValueId, uses: number): NodeOf<"pad">[] | undefined {
  const node = to.producer(id);
  return node?.op === "pad" && uses === 1 ? [node] : undefined;
}

/** The one axis along which all are padded, if there is one. */
function commonAxis(pads: NodeOf<"pad">[]): number | undefined {
  const axes = pads.map(({ attrs }) =>
    attrs.before.map((_, i) => i).filter((i) => attrs.before[i] + attrs.after[i] > 0)
  );
  const [axis] = axes[0];
  return axes.every((list) => list.length === 1 && list[0] === axis) ? axis : undefined;
}

/** The sum of neighbouring parts as one pad of their concat, or undefined if they overlap or leave a gap. */
function joined(to: Graph, pads: NodeOf<"pad">[], axis: number): ValueId[] | undefined {
  const length = (pad: NodeOf<"pad">) => to.type(pad.inputs[0]).shape[axis];
  for (let i = 1; i < pads.length; i++) {
    const end = pads[i - 1].attrs.before[axis] + length(pads[i - 1]);
    if (pads[i].attrs.before[axis] !== end) return;
  }
  const operands = pads.flatMap((pad) => {
    const inner = to.producer(pad.inputs[0]);
    return inner?.op === "concat" && inner.attrs.axis === axis ? inner.inputs : pad.inputs;
  });
  const [whole] = to.add("concat", operands, { axis });
  const first = pads[0].attrs;
  const last = pads[pads.length - 1].attrs;
  return to.add("pad", [whole], { before: first.before, after: last.after });
}
