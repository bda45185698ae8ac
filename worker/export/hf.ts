import { join } from "node:path";
import { type NamedTensor, writeTensors } from "../../shared/checkpoint/safetensors.ts";
import { hfTokenizerFiles } from "../../shared/data/tokenizers/hf_tokenizer_files.ts";
import { isTransposed, writeHfConfig } from "../../shared/hf_gpt2.ts";
import { transpose } from "../../shared/transpose.ts";
import { type ExportSource, refuseVariants } from "./export_source.ts";
import { writeJson } from "./write_json.ts";

/**
 * Writes a GPT-2 of Hugging Face's transformers into `folder`: config.json, model.safetensors, and the tokenizer's files where
 * the tokens are of a text. A model without biases gets biases of zero, as GPT2LMHeadModel has all of them. Throws E_MODEL
 * for a variant that GPT-2 cannot be.
 */
export async function exportHf(source: ExportSource, folder: string): Promise<void> {
  refuseVariants(source, "hf");
  const { config } = source;
  const tokens = await source.describeTokens();
  await writeTensors(join(folder, "model.safetensors"), tensorsOf(source), { metadata: { format: "pt" } });
  const end = tokens?.tokenizer?.tokenizer === "gpt2" ? 50_256 : null;
  const hfConfig = writeHfConfig(config, {
    bos_token_id: end,
    eos_token_id: end,
    lockstep: tokens ?? undefined,
  });
  await writeJson(join(folder, "config.json"), hfConfig);
  const files = tokens?.tokenizer === undefined ? {} : await hfTokenizerFiles(tokens.tokenizer);
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
}

function tensorsOf({ config, model, parameters }: ExportSource): NamedTensor[] {
  return model.parameters.flatMap(({ name, shape, offset, size }): NamedTensor[] => {
    const data = parameters.subarray(offset, offset + size);
    const stored = isTransposed(name)
      ? { name, shape: shape.toReversed(), data: transpose(data, shape) }
      : { name, shape, data };
    if (config.bias || name.endsWith("wte.weight") || name.endsWith("wpe.weight")) return [stored];
    const bias = name.replace(/weight$/, "bias");
    return [stored, { name: bias, shape: [shape[0]], data: new Float32Array(shape[0]) }];
  });
}
