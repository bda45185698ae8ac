import type { ModelConfig } from "../../shared/config/model_config.ts";
import { moduleHash } from "../module_hash.ts";
import { importUserModule } from "../user_module.ts";
import * as gpt from "./gpt.ts";
import { type ModelModule, parameterCount, parameterSize, type ParameterSpec } from "./model.ts";

/** A model ready to be compiled: its code, its configuration, and where each parameter stands in the flat arrays. */
export interface Model {
  readonly module: ModelModule;
  readonly config: ModelConfig;
  readonly parameters: readonly FlatParameter[];
  /** Elements of all parameters. */
  readonly size: number;
  /** SHA-256 of the module and of what it imports from beside it, or "gpt" for the built-in model: part of the compile cache's key and the manifest. */
  readonly source: string;
}

export interface FlatParameter extends ParameterSpec {
  /** Where it starts in the flat arrays, in elements. */
  readonly offset: number;
  readonly size: number;
}

/** The built-in GPT, or the module at `path` (`--model=./my_model.ts`). A module that is none is an E_MODEL. */
export async function loadModel(config: ModelConfig, path: string | null): Promise<Model> {
  const module: ModelModule = path === null ? gpt : await importModel(path);
  const source = path === null ? "gpt" : await moduleHash(path);
  return { module, config, source, ...layOut(module.parameters(config)) };
}

function layOut(specs: readonly ParameterSpec[]): { parameters: FlatParameter[]; size: number } {
  let offset = 0;
  const parameters = specs.map((spec) => {
    const size = parameterSize(spec);
    offset += size;
    return { ...spec, offset: offset - size, size };
  });
  return { parameters, size: parameterCount(specs) };
}

async function importModel(path: string): Promise<ModelModule> {
  const { parameters, logits, cached } = await importUserModule(path, {
    what: "model",
    code: "E_MODEL",
    functions: ["parameters(config)", "logits(params, tokens, config)"],
  });
  return {
    parameters: parameters as ModelModule["parameters"],
    logits: logits as ModelModule["logits"],
    cached: cached === true,
  };
}
