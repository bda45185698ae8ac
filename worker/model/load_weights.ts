import { join } from "node:path";
import { readTensors, type Tensor } from "../../shared/checkpoint/safetensors.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { LockstepError } from "../../shared/errors.ts";
import { refusePickle } from "../../shared/pickle.ts";
import type { Model } from "./load_model.ts";

/**
 * Fills the flat parameters from weights in nanoGPT's names: a safetensors file, a folder that holds
 * `model.safetensors`, or a run's folder, of which the newest checkpoint is taken. Every parameter must be there with its
 * shape, as a floating type, and nothing else: otherwise E_WEIGHTS.
 */
export async function loadWeights(model: Model, parameters: Float32Array, path: string): Promise<void> {
  const file = await findWeights(path);
  const tensors = await readTensors(file);
  for (const { name, shape, offset } of model.parameters) {
    const tensor = tensors.get(name);
    tensors.delete(name);
    parameters.set(checked(tensor, { file, name, shape }), offset);
  }
  const [extra] = tensors.keys();
  if (extra !== undefined) {
    throw new LockstepError("E_WEIGHTS", `Cannot load ${file}: the model has no parameter ${extra}`);
  }
}

function checked(
  tensor: Tensor | undefined,
  { file, name, shape }: { file: string; name: string; shape: readonly number[] },
): Float32Array {
  if (tensor === undefined) {
    throw new LockstepError("E_WEIGHTS", `Cannot load ${file}: it lacks the parameter ${name}`);
  }
  if (!(tensor.data instanceof Float32Array)) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot load ${file}: ${name} must be of a floating type, and is ${tensor.dtype}`,
    );
  }
  if (`${tensor.shape}` !== `${shape}`) {
    throw new LockstepError(
      "E_WEIGHTS",
      `Cannot load ${file}: ${name} must have the shape [${shape}], and has [${tensor.shape}]`,
    );
  }
  return tensor.data;
}

const WEIGHTS = "model.safetensors";

/** The safetensors file that `path` means. */
export async function findWeights(path: string): Promise<string> {
  refusePickle(path);
  const kind = await kindOf(path);
  if (kind === "file") return path;
  if (kind === "folder" && await kindOf(join(path, WEIGHTS)) === "file") return join(path, WEIGHTS);
  if (kind === "folder" && await kindOf(join(path, "checkpoints")) === "folder") {
    const found = await new CheckpointStore(join(path, "checkpoints")).load("latest");
    return join(found.path, WEIGHTS);
  }
  throw new LockstepError(
    "E_WEIGHTS",
    `Cannot load weights from ${path}: it must be a safetensors file, a folder with ${WEIGHTS}, or a run's folder`,
  );
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  try {
    const { isFile, isDirectory } = await Deno.stat(path);
    return isFile ? "file" : isDirectory ? "folder" : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
