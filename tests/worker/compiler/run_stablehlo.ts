import { Graph, sizeOf } from "../../../worker/compiler/graph.ts";
import { lowerStablehlo, type StablehloOptions } from "../../../worker/compiler/lower_stablehlo.ts";
import type { DType, ValueId } from "../../../worker/compiler/op.ts";
import type { PjrtBuffer, PjrtClient } from "../../../worker/engines/pjrt.ts";
import type { Value } from "./run_graph.ts";

const wide = (dtype: DType): DType => dtype === "bool" ? "int32" : dtype;

/** A graph whose bools come and go as int32: what buffers hold. */
export function withoutBools(graph: Graph): Graph {
  const to = new Graph();
  const moved = new Map<ValueId, ValueId>();
  const cast = (x: ValueId, dtype: DType) =>
    to.type(x).dtype === dtype ? x : to.add("cast", [x], { dtype })[0];
  const map = (id: ValueId) => moved.get(id) ?? id;
  for (const { name, value } of graph.inputs) {
    const { dtype, shape } = graph.type(value);
    moved.set(value, cast(to.input(name, { dtype: wide(dtype), shape }), dtype));
  }
  for (const { op, inputs, attrs, outputs } of graph.nodes) {
    const made = to.add(op, inputs.map(map), attrs);
    outputs.forEach((id, i) => moved.set(id, made[i]));
  }
  for (const { name, value } of graph.outputs) {
    to.output(name, cast(map(value), wide(graph.type(value).dtype)));
  }
  return to;
}

/** Runs the graph by XLA: the values of its outputs, by name. */
export async function runStablehlo(
  client: PjrtClient,
  { graph, feeds, options = { multiply: "float32" } }: {
    graph: Graph;
    feeds: Readonly<Record<string, Value>>;
    options?: StablehloOptions;
  },
): Promise<Record<string, Value>> {
  using program = await client.compile(lowerStablehlo(withoutBools(graph), options));
  const inputs = graph.inputs.map(({ name }) => upload(client, feeds[name]));
  const results = await program.execute(inputs, graph.outputs.length);
  const values = await Promise.all(results.map(async (buffer, i) => {
    const { name, value } = graph.outputs[i];
    const type = graph.type(value);
    const size = sizeOf(type);
    const into = type.dtype === "float32" ? new Float32Array(size) : new Int32Array(size);
    return [name, { ...type, data: Array.from(await buffer.read(into)) }] as const;
  }));
  for (const buffer of [...inputs, ...results]) buffer[Symbol.dispose]();
  return Object.fromEntries(values);
}

function upload(client: PjrtClient, { dtype, shape, data }: Value): PjrtBuffer {
  return client.upload(dtype === "float32" ? Float32Array.from(data) : Int32Array.from(data), shape);
}
