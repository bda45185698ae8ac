import { encodeOnnx } from "../compiler/onnx_file.ts";
import { lowerOnnx } from "../compiler/lower_onnx.ts";
import { LockstepError } from "../../shared/errors.ts";
import { decodingProgram } from "./decoding_program.ts";
import type { ExportSource } from "./export_source.ts";

/** A file of protocol buffers may have no more, and runtimes refuse larger ones. */
const MOST_BYTES = 2 ** 31 - 1;

/**
 * The bytes of an ONNX model, weights included, of {@link decodingProgram}, in operators of the standard. Throws E_TOO_LARGE
 * for more than 2 GiB of weights.
 */
export async function onnxModel(source: ExportSource): Promise<Uint8Array<ArrayBuffer>> {
  const { path, model } = source;
  if (4 * model.size > MOST_BYTES) {
    throw new LockstepError(
      "E_TOO_LARGE",
      `Cannot export ${path} as one ONNX file has at most 2 GiB: its weights have ${4 * model.size} bytes`,
    );
  }
  const { graph, weights } = await decodingProgram(source);
  const lowered = lowerOnnx(graph, { scatterAdd: true, portable: true });
  const known = new Set(weights.map(({ name }) => name));
  return encodeOnnx({
    ...lowered,
    constants: [...weights, ...lowered.constants],
    inputs: lowered.inputs.filter(({ name }) => !known.has(name)),
  });
}
