import { compileGraph } from "../compiler/compile.ts";
import { Graph } from "../compiler/graph.ts";
import type { ValueId } from "../compiler/op.ts";
import { keepCache } from "../compiler/passes/keep_cache.ts";
import { copyNodes } from "../compiler/passes/rewrite.ts";
import { LockstepError } from "../../shared/errors.ts";
import { parameterInput } from "../model/programs.ts";
import type { ExportSource } from "./export_source.ts";

/** A program for other runtimes, and the numbers of those of its inputs that are weights. */
export interface DecodingProgram {
  readonly graph: Graph;
  readonly weights: readonly {
    readonly name: string;
    readonly dtype: "float32";
    readonly shape: readonly number[];
    readonly data: Float32Array<ArrayBuffer>;
  }[];
}

/**
 * The program that reads one token and knows those before it:
 * (tokens int32 (1, 1), positions int32 (1), past.keys.i, past.values.i float32 (H, S, D) for each block i) →
 * (logits float32 (1, V), present.keys.i, present.values.i). S is block_size; rows from the position on count nothing.
 * The present of a token is the past of the next one. Throws E_MODEL for an own model that cannot decode with a cache.
 */
export async function decodingProgram(
  { path, config, model, parameters }: ExportSource,
): Promise<DecodingProgram> {
  if (!model.module.cached) {
    throw new LockstepError(
      "E_MODEL",
      `Cannot export ${path} as its own model ${config.model} must export "cached = true" for that: see docs/models.md`,
    );
  }
  const { graph } = await compileGraph({ kind: "decode", model, shape: { batchSize: 1, length: 1 } });
  const weights = model.parameters.map(({ name, shape, offset, size }) => ({
    name: parameterInput(name),
    dtype: "float32" as const,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
  return { graph: pastAndPresent(keepCache(graph, model.config)), weights };
}

/** A cache has one name in the programs here; in ONNX what is read and what is made need two. */
function pastAndPresent(graph: Graph): Graph {
  const isCache = (name: string) => /^(keys|values)\.\d+$/.test(name);
  const to = new Graph();
  const moved = new Map<ValueId, ValueId>();
  for (const { name, value } of graph.inputs) {
    moved.set(value, to.input(isCache(name) ? `past.${name}` : name, graph.type(value)));
  }
  const map = copyNodes(graph, { to, moved });
  for (const { name, value } of graph.outputs) {
    to.output(isCache(name) ? `present.${name}` : name, map(value));
  }
  return to;
}
