import { countUses, type Graph, type NodeOf } from "../graph.ts";
import type { TensorType, ValueId } from "../op.ts";
import { removeDeadCode } from "./dead_code.ts";
import { rewrite } from "./rewrite.ts";

const ROWS = /^(.*)\[(\d+):(\d+)\]$/;

/** The name and the rows that {@link viewParameters} meant by `name`; no rows means all. */
export function parseRows(name: string): { name: string; rows: { begin: number; end: number } | null } {
  const match = ROWS.exec(name);
  if (match === null) return { name, rows: null };
  return { name: match[1], rows: { begin: Number(match[2]), end: Number(match[3]) } };
}

/** The name of rows begin … end − 1 of an input or output: `param.h.0.attn.c_attn.weight[64:128]`. */
const rowsName = (name: string, begin: number, end: number) => `${name}[${begin}:${end}]`;

/**
 * For inputs and outputs in `flat`, which stand in memory row after row: rows of an input become an input of their own,
 * and an output that is a concatenation of rows becomes one output for each part. Whoever holds them gives views, and
 * nothing is copied. Such inputs are left out where nothing reads them.
 */
export function viewParameters(graph: Graph, flat: ReadonlySet<string>): Graph {
  const inputs = new Map(graph.inputs.map(({ name, value }) => [value, name]));
  const views = new Map<string, ValueId>();
  const viewed = rewrite(graph, (node, operands, to) => {
    if (node.op !== "slice") return;
    const name = inputs.get(node.inputs[0]);
    if (name === undefined || !flat.has(name) || !isRows(node, to.type(operands[0]))) return;
    const [begin, end] = [node.attrs.begin[0], node.attrs.begin[0] + node.attrs.size[0]];
    const view = rowsName(name, begin, end);
    const value = views.get(view) ??
      to.input(view, { dtype: to.type(operands[0]).dtype, shape: node.attrs.size });
    views.set(view, value);
    return [value];
  });
  splitOutputs(viewed, flat);
  const live = removeDeadCode(viewed);
  dropUnused(live, flat);
  return live;
}

function isRows({ attrs: { begin, size } }: NodeOf<"slice">, { shape }: TensorType): boolean {
  return shape.every((n, axis) => axis === 0 || (begin[axis] === 0 && size[axis] === n));
}

function splitOutputs(graph: Graph, flat: ReadonlySet<string>): void {
  const outputs = graph.outputs.splice(0);
  for (const { name, value } of outputs) {
    const node = graph.producer(value);
    if (!flat.has(name) || node?.op !== "concat" || node.attrs.axis !== 0) {
      graph.output(name, value);
      continue;
    }
    let begin = 0;
    for (const part of node.inputs) {
      const end = begin + graph.type(part).shape[0];
      graph.output(rowsName(name, begin, end), part);
      begin = end;
    }
  }
}

function dropUnused(graph: Graph, flat: ReadonlySet<string>): void {
  const uses = countUses(graph);
  const kept = graph.inputs.filter(({ name, value }) => uses.has(value) || !flat.has(name));
  graph.inputs.splice(0, graph.inputs.length, ...kept);
}
