import type { Tensor } from "../../shared/checkpoint/safetensors.ts";
import { LockstepError } from "../../shared/errors.ts";
import { openWeights, readWeights, type Weights } from "../../shared/weights.ts";
import type { FlatParameter, Model } from "./load_model.ts";

/** How {@link loadWeights} takes weights of other sizes. */
export interface LoadWeightsOptions {
  /**
   * Whether the rows of the token embedding that the weights lack keep what `parameters` holds and surplus ones are left
   * out, as surplus positions are. Only where the weights come with a description of their model. Default: false.
   */
  readonly resize?: boolean;
}

/**
 * Fills the flat parameters from the weights that `path` means: see `openWeights`. Every parameter must be there with its
 * shape, as a floating type, and nothing else: otherwise E_WEIGHTS.
 */
export async function loadWeights(
  model: Model,
  parameters: Float32Array,
  path: string,
  { resize = false }: LoadWeightsOptions = {},
): Promise<void> {
  const weights = await openWeights(path);
  const tensors = await readWeights(weights);
  const from = weights.files.length === 1 ? weights.files[0] : path;
  for (const parameter of model.parameters) {
    const tensor = tensors.get(parameter.name);
    tensors.delete(parameter.name);
    const wanted = resize ? resized(parameter, weights) : parameter.shape;
    const data = checked(tensor, { from, name: parameter.name, shape: wanted });
    parameters.set(data.subarray(0, parameter.size), parameter.offset);
  }
  const [extra] = tensors.keys();
  if (extra !== undefined) {
    throw new LockstepError("E_WEIGHTS", `Cannot load ${from}: the model has no parameter ${extra}`);
  }
}

/** The shape that a parameter has in weights of a model with another vocabulary or a longer context. */
function resized({ name, shape }: FlatParameter, { model }: Weights): readonly number[] {
  if (model === null) return shape;
  if (name === "transformer.wte.weight") return [model.vocab_size, shape[1]];
  if (name === "transformer.wpe.weight") return [model.block_size, shape[1]];
  return shape;
}

function checked(
  tensor: Tensor | undefined,
  { from, name, shape }: { from: string; name: string; shape: readonly number[] },
): Float32Array {
  if (tensor === undefined) {
    throw new LockstepError("E_WEIGHTS", `Cannot load ${from}: it lacks the parameter ${name}`);
  }
  if (!(tensor.data instanceof Float32Array)) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot load ${from}: ${name} must be of a floating type, and is ${tensor.dtype}`,
    );
  }
  if (`${tensor.shape}` !== `${shape}`) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot load ${from}: ${name} must have the shape [${shape}], and has [${tensor.shape}]`,
    );
  }
  return tensor.data;
}
