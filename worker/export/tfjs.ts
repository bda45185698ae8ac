import { join } from "node:path";
import { replaceFile, writeAll } from "../../shared/files.ts";
import { lowerTfjs } from "../compiler/lower_tfjs.ts";
import { rawBytes } from "../compiler/raw_bytes.ts";
import { decodingProgram } from "./decoding_program.ts";
import type { ExportSource } from "./export_source.ts";
import { writeJson } from "./write_json.ts";

const WEIGHTS = "weights.bin";

/**
 * Writes {@link decodingProgram} as a graph model of TensorFlow.js into `folder`: model.json, weights.bin, and config.json with
 * its sizes and what its tokens mean. `tf.loadGraphModel` loads it, without this program.
 */
export async function exportTfjs(source: ExportSource, folder: string): Promise<void> {
  const { graph, weights } = await decodingProgram(source);
  const { nodes, weights: all, inputs, outputs } = lowerTfjs(graph, weights);
  await replaceFile(join(folder, WEIGHTS), async (file) => {
    for (const { dtype, data } of all) await writeAll(file, rawBytes(dtype, data));
  });
  const manifest = all.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  await writeJson(join(folder, "model.json"), {
    format: "graph-model",
    generatedBy: "lockstep",
    convertedBy: null,
    modelTopology: { node: nodes, versions: { producer: 1 } },
    signature: { inputs, outputs },
    weightsManifest: [{ paths: [WEIGHTS], weights: manifest }],
  });
  const { n_layer, n_head, n_embd, block_size, vocab_size } = source.config;
  const sizes = { n_layer, n_head, n_embd, block_size, vocab_size };
  await writeJson(join(folder, "config.json"), {
    ...sizes,
    lockstep: await source.describeTokens() ?? undefined,
  });
}
