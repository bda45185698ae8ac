import { compileGraph } from "../compiler/compile.ts";
import { Graph } from "../compiler/graph.ts";
import { lowerOnnx } from "../compiler/lower_onnx.ts";
import { encodeOnnx, type OnnxTensor } from "../compiler/onnx_file.ts";
import type { ValueId } from "../compiler/op.ts";
import { keepCache } from "../compiler/passes/keep_cache.ts";
import { copyNodes } from "../compiler/passes/rewrite.ts";
import { LockstepError } from "../../shared/errors.ts";
import { parameterInput } from "../model/programs.ts";
import { type ExportSource, parameterOf } from "./export_source.ts";

/** A file of protocol buffers may have no more, and runtimes refuse larger ones. */
const MOST_BYTES = 2 ** 31 - 1;

/**
 * The bytes of an ONNX model that reads one token and knows those before it, weights included, in operators of the standard:
 * (tokens int32 (1, 1), positions int32 (1), past.keys.i, past.values.i float32 (H, S, D) for each block i) →
 * (logits float32 (1, V), present.keys.i, present.values.i). S is block_size; rows from the position on count nothing.
 * The present of a token is the past of the next one. Throws E_MODEL for an own model that cannot decode with a cache.
 */
export async function onnxModel(source: ExportSource): Promise<Uint8Array<ArrayBuffer>> {
  const { path, model } = source;
  if (!model.module.cached) {
    throw new LockstepError(
      "E_MODEL",
      `Cannot export ${path} as its own model ${source.config.model} must export "cached = true" for that: see docs/models.md`,
    );
  }
  if (4 * model.size > MOST_BYTES) {
    throw new LockstepError(
      "E_TOO_LARGE",
      `Cannot export ${path} as one ONNX file has at most 2 GiB: its weights have ${4 * model.size} bytes`,
    );
  }
  const { graph } = await compileGraph({ kind: "decode", model, shape: { batchSize: 1, length: 1 } });
  const lowered = lowerOnnx(pastAndPresent(keepCache(graph, model.config)), {
    scatterAdd: true,
    portable: true,
  });
  const weights = model.parameters.map(({ name, shape }): OnnxTensor => ({
    name: parameterInput(name),
    dtype: "float32",
    shape,
    data: parameterOf(source, name) ?? [],
  }));
  const known = new Set(weights.map(({ name }) => name));
  return encodeOnnx({
    ...lowered,
    constants: [...weights, ...lowered.constants],
    inputs: lowered.inputs.filter(({ name }) => !known.has(name)),
  });
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
