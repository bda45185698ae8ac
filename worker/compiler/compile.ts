import type { BatchShape } from "../engines/engine.ts";
import type { Model } from "../model/load_model.ts";
import {
  cacheNames,
  decode,
  type DropoutSite,
  forward,
  likelihood,
  parameterInput,
  prefill,
  type Tensors,
  trainStep,
} from "../model/programs.ts";
import type { Graph } from "./graph.ts";
import type { TensorType } from "./op.ts";
import { optimize } from "./optimize.ts";
import { type Signature, trace } from "./trace.ts";

/** The programs of worker/model/programs.ts. */
export type ProgramKind = "train" | "likelihood" | "forward" | "prefill" | "decode";

/** What is compiled: a program of a model at one shape. */
export interface ProgramSpec {
  readonly kind: ProgramKind;
  readonly model: Model;
  readonly shape: BatchShape;
}

/** An optimized graph and the dropout masks it takes as inputs. */
export interface CompiledGraph {
  readonly graph: Graph;
  readonly sites: readonly DropoutSite[];
}

/** Traces and optimizes a program; no file, no engine. */
export async function compileGraph(spec: ProgramSpec): Promise<CompiledGraph> {
  const sites: DropoutSite[] = [];
  const traced = await trace((args, input) => {
    const masks = (site: DropoutSite) => {
      sites.push(site);
      return input(site.name, float(...site.shape));
    };
    return program(spec, masks)(args);
  }, signature(spec));
  return { graph: optimize(traced), sites };
}

function program(
  { kind, model: { module, config } }: ProgramSpec,
  masks: Parameters<typeof trainStep>[2],
): (args: Tensors) => Tensors {
  switch (kind) {
    case "train":
      return trainStep(module, config, masks);
    case "likelihood":
      return likelihood(module, config);
    case "forward":
      return forward(module, config);
    case "prefill":
      return prefill(module, config);
    case "decode":
      return decode(module, config);
  }
}

const float = (...shape: number[]): TensorType => ({ dtype: "float32", shape });
const int = (...shape: number[]): TensorType => ({ dtype: "int32", shape });

function signature({ kind, model, shape: { batchSize: B, length: T } }: ProgramSpec): Signature {
  const { n_layer, n_head, n_embd, block_size } = model.config;
  const parameters = Object.fromEntries(
    model.parameters.map(({ name, shape }) => [parameterInput(name), float(...shape)]),
  );
  switch (kind) {
    case "train":
      return { ...parameters, tokens: int(B, T), targets: int(B, T), scale: float() };
    case "likelihood":
      return { ...parameters, tokens: int(B, T), targets: int(B, T) };
    case "forward":
      return { ...parameters, tokens: int(B, T) };
    case "prefill":
      return { ...parameters, tokens: int(B, T), last: int(B) };
    case "decode": {
      const heads = float(n_head * B, block_size, n_embd / n_head);
      const cache = Array.from({ length: n_layer }, (_, layer) => {
        const names = cacheNames(layer);
        return [[names.keys, heads], [names.values, heads]] as const;
      });
      return { ...parameters, tokens: int(B, 1), positions: int(B), ...Object.fromEntries(cache.flat()) };
    }
  }
}
