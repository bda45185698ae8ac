import { join } from "node:path";
import { hfTokenizerFiles } from "../../shared/data/tokenizers/hf_tokenizer_files.ts";
import type { ExportSource } from "./export_source.ts";
import generateMjs from "./files/generate.mjs" with { type: "text" };
import generatePy from "./files/generate.py" with { type: "text" };
import tokenizerMjs from "./files/tokenizer.mjs" with { type: "text" };
import writerMjs from "./files/writer.mjs" with { type: "text" };
import { writeJson } from "./write_json.ts";
import { onnxModel } from "./onnx_model.ts";

/**
 * Writes model.onnx (see {@link onnxModel}) into `folder`, config.json with its sizes and what its tokens mean, the
 * tokenizer's files where they are of a text, and programs that let it write in Python and Node.
 */
export async function exportOnnx(source: ExportSource, folder: string): Promise<void> {
  await writeOnnx(source, folder);
  const programs = { "generate.py": generatePy, "generate.mjs": generateMjs };
  for (const [name, text] of Object.entries(programs)) await Deno.writeTextFile(join(folder, name), text);
}

/** What any program needs: the model, its sizes and tokenizer, and the modules that read them in JavaScript. */
export async function writeOnnx(source: ExportSource, folder: string): Promise<void> {
  const { config } = source;
  const tokens = await source.describeTokens();
  await Deno.writeFile(join(folder, "model.onnx"), await onnxModel(source));
  const { n_layer, n_head, n_embd, block_size, vocab_size } = config;
  const sizes = { n_layer, n_head, n_embd, block_size, vocab_size };
  await writeJson(join(folder, "config.json"), { ...sizes, lockstep: tokens ?? undefined });
  const tokenizer = tokens?.tokenizer === undefined ? {} : await hfTokenizerFiles(tokens.tokenizer);
  const files = { ...tokenizer, "tokenizer.mjs": tokenizerMjs, "writer.mjs": writerMjs };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
}
