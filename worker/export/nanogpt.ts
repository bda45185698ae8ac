import { join } from "node:path";
import { writeTensors } from "../../shared/checkpoint/safetensors.ts";
import { LockstepError } from "../../shared/errors.ts";
import { type ExportSource, refuseVariants } from "./export_source.ts";
import { writeJson } from "./write_json.ts";

/**
 * Writes nanoGPT's parameters by nanoGPT's names into `folder`, as model.safetensors, and its `model_args` as config.json:
 * docs/to_nanogpt.py makes a ckpt.pt of them. Throws E_MODEL for a variant that nanoGPT's GPT cannot be.
 */
export async function exportNanogpt(source: ExportSource, folder: string): Promise<void> {
  refuseVariants(source, "nanogpt");
  const { path, config, model, parameters } = source;
  if (config.activation !== "gelu") {
    throw new LockstepError(
      "E_MODEL",
      `Cannot export ${path} as nanogpt as nanoGPT's GELU is the one by erf: the model has activation = ` +
        `${config.activation}, take --format=hf`,
    );
  }
  const tensors = model.parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
  await writeTensors(join(folder, "model.safetensors"), tensors);
  const { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout } = config;
  const modelArgs = { n_layer, n_head, n_embd, block_size, bias, vocab_size, dropout };
  await writeJson(join(folder, "config.json"), {
    ...modelArgs,
    lockstep: await source.describeTokens() ?? undefined,
  });
}
