import type { Graph } from "../graph.ts";
import { rewrite } from "./rewrite.ts";

/** The input by which {@link unscaleOutputs} multiplies. */
export const UNSCALE = "unscale";

/**
 * Every output times one more input, `unscale` (): takes back what a loss was multiplied with so that its gradients do not
 * vanish in narrow numbers.
 */
export function unscaleOutputs(graph: Graph): Graph {
  const to = rewrite(graph, () => undefined);
  const unscale = to.input(UNSCALE, { dtype: "float32", shape: [] });
  for (const output of to.outputs) [output.value] = to.add("mul", [output.value, unscale], {});
  return to;
}
