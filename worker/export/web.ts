import { join } from "node:path";
import type { ExportSource } from "./export_source.ts";
import indexHtml from "./files/index.html" with { type: "text" };
import pageMjs from "./files/page.mjs" with { type: "text" };
import { writeOnnx } from "./onnx.ts";
import { copyOnnxruntimeWeb } from "./onnxruntime_web.ts";

/**
 * Writes a page that lets the model write into `folder`, for any static host: the page, the model, its tokenizer, and ONNX
 * Runtime for browsers. Throws as `exportOnnx` and `copyOnnxruntimeWeb` do.
 */
export async function exportWeb(source: ExportSource, folder: string): Promise<void> {
  await writeOnnx(source, folder);
  const files = { "index.html": indexHtml, "page.mjs": pageMjs };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
  await copyOnnxruntimeWeb(folder);
}
