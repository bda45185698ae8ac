import type { FlatParameter, Model } from "../../model/load_model.ts";
import { gradientOutput, parameterInput } from "../../model/programs.ts";
import { Graph } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { copyNodes } from "./rewrite.ts";

/** The input that takes all parameters, and the output that gives all gradients, flat: what engines that copy need. */
export const PARAMETERS = "parameters";
export const GRADIENT = "gradient";

/**
 * One flat input `parameters`, which comes first, instead of one for each, and one flat output `gradient`, which comes
 * last, instead of one for each: a device gets and gives them in one piece.
 */
export function flattenParameters(
  graph: Graph,
  { parameters, size }: Pick<Model, "parameters" | "size">,
): Graph {
  const to = new Graph();
  const flat = to.input(PARAMETERS, { dtype: "float32", shape: [size] });
  const known = new Map(parameters.map((parameter) => [parameterInput(parameter.name), parameter]));
  const moved = new Map<ValueId, ValueId>();
  for (const { name, value } of graph.inputs) {
    const parameter = known.get(name);
    moved.set(
      value,
      parameter === undefined ? to.input(name, graph.type(value)) : part(to, flat, parameter),
    );
  }
  const map = copyNodes(graph, { to, moved });
  const gradients = new Set(parameters.map(({ name }) => gradientOutput(name)));
  for (const { name, value } of graph.outputs) if (!gradients.has(name)) to.output(name, map(value));
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, map(value)]));
  const parts = parameters.flatMap(({ name, size }) => {
    const gradient = outputs.get(gradientOutput(name));
    return gradient === undefined ? [] : to.add("reshape", [gradient], { shape: [size] });
  });
  if (parts.length > 0) to.output(GRADIENT, to.add("concat", parts, { axis: 0 })[0]);
  return to;
}

function part(to: Graph, flat: ValueId, { offset, size, shape }: FlatParameter): ValueId {
  return to.add("reshape", to.add("slice", [flat], { begin: [offset], size: [size] }), { shape })[0];
}
