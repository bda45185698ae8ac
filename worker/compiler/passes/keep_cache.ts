import type { ModelConfig } from "../../../shared/config/model_config.ts";
import { cacheNames, madeFor } from "../../model/programs.ts";
import { Graph } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { copyNodes } from "./rewrite.ts";

/**
 * Programs `prefill` and `decode` whose cache never leaves the device: instead of the keys and values that they make for
 * some positions, they give whole caches (H·B, block_size, D) under the caches' own names. `decode` puts each row's in at
 * its position.
 */
export function keepCache(
  graph: Graph,
  { n_layer, block_size }: Pick<ModelConfig, "n_layer" | "block_size">,
): Graph {
  const to = new Graph();
  const moved = new Map<ValueId, ValueId>();
  const inputs = new Map<string, ValueId>();
  for (const { name, value } of graph.inputs) {
    const input = to.input(name, graph.type(value));
    inputs.set(name, input);
    moved.set(value, input);
  }
  const map = copyNodes(graph, { to, moved });
  const caches = Array.from({ length: n_layer }, (_, layer) => Object.values(cacheNames(layer))).flat();
  const cacheOf = new Map(caches.map((name) => [madeFor(name), name]));
  const positions = inputs.get("positions");
  for (const { name, value } of graph.outputs) {
    const cache = cacheOf.get(name);
    const before = cache === undefined ? undefined : inputs.get(cache);
    if (cache === undefined) to.output(name, map(value));
    else if (before === undefined || positions === undefined) {
      to.output(cache, fill(to, map(value), block_size));
    } else to.output(cache, replace(to, map(value), { before, positions }));
  }
  return to;
}

/** (H·B, T, D) from position 0 on, and zeros up to block_size. */
function fill(to: Graph, made: ValueId, block_size: number): ValueId {
  const [, length] = to.type(made).shape;
  return to.add("pad", [made], { before: [0, 0, 0], after: [0, block_size - length, 0] })[0];
}

/** The cache with (H·B, 1, D) at each row's position; rows are (head, b), b fastest. */
function replace(
  to: Graph,
  made: ValueId,
  { before, positions }: { before: ValueId; positions: ValueId },
): ValueId {
  const [rows, capacity] = to.type(before).shape;
  const [batchSize] = to.type(positions).shape;
  const places = to.add("tile", [positions], { reps: [rows / batchSize] });
  const place = to.add("reshape", places, { shape: [rows, 1, 1] })[0];
  const counted = to.add("range", [], { dtype: "int32", start: 0, step: 1, length: capacity });
  const index = to.add("reshape", counted, { shape: [1, capacity, 1] })[0];
  const here = to.add("equal", [index, place], {})[0];
  return to.add("select", [here, made, before], {})[0];
}
