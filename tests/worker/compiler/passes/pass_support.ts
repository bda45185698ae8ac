import { Graph, printGraph, sizeOf, verifyGraph } from "../../../../worker/compiler/graph.ts";
import type { Op, OpAttributes, TensorType, ValueId } from "../../../../worker/compiler/op.ts";
import { removeDeadCode } from "../../../../worker/compiler/passes/dead_code.ts";
import { CounterRandom } from "../../../../shared/random.ts";
import { assertValuesClose } from "../assert_compiles.ts";
import { runGraph, type Value } from "../run_graph.ts";

export const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
export const int = (...shape: number[]): TensorType => ({ dtype: "int32", shape });

/** Appends a node and gives its first result. */
export type Emit = <K extends Op>(op: K, inputs: readonly ValueId[], attrs: OpAttributes[K]) => ValueId;

/** A graph with these inputs, and the outputs that `body` returns. */
export function build(
  inputs: Readonly<Record<string, TensorType>>,
  body: (values: Record<string, ValueId>, emit: Emit) => Record<string, ValueId>,
): Graph {
  const graph = new Graph();
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, type]) => [name, graph.input(name, type)]),
  );
  const emit: Emit = (op, operands, attrs) => graph.add(op, operands, attrs)[0];
  for (const [name, value] of Object.entries(body(values, emit))) graph.output(name, value);
  return graph;
}

/** What a pass leaves, without what nothing reads, as text. */
export function printed(graph: Graph): string {
  const live = removeDeadCode(graph);
  verifyGraph(live);
  return printGraph(live);
}

/** Asserts that two graphs compute the same numbers of random inputs: floats of N(0, 1), integers 0 … 2. */
export async function assertSameResults(before: Graph, after: Graph, tolerance = 2e-6): Promise<void> {
  const feeds = Object.fromEntries(
    before.inputs.map(({ name, value }) => [name, random(name, before.type(value))]),
  );
  assertValuesClose(await runGraph(after, feeds), await runGraph(before, feeds), tolerance);
}

function random(name: string, { dtype, shape }: TensorType): Value {
  const numbers = CounterRandom.fromSeed(7, name);
  const draw = (i: number) =>
    dtype === "float32" ? numbers.normal(i) : numbers.below(dtype === "bool" ? 2 : 3, i);
  return { dtype, shape, data: Array.from({ length: sizeOf({ dtype, shape }) }, (_, i) => draw(i)) };
}
