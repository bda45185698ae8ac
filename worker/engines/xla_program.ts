import { sha256 } from "../../shared/hash.ts";
import { compileGraph, type ProgramSpec } from "../compiler/compile.ts";
import type { Graph } from "../compiler/graph.ts";
import { lowerStablehlo } from "../compiler/lower_stablehlo.ts";
import { flattenParameters } from "../compiler/passes/flatten_parameters.ts";
import { keepCache } from "../compiler/passes/keep_cache.ts";
import { unscaleOutputs } from "../compiler/passes/unscale_outputs.ts";
import type { ProductType } from "../compiler/stablehlo_ops.ts";
import type { DropoutSite } from "../model/programs.ts";
import { type HostArray, PjrtBuffer, type PjrtClient, type PjrtProgram } from "./pjrt.ts";
import { compileXla } from "./xla_cache.ts";
import { compilerOptions, type XlaDevice } from "./xla_plugin.ts";

/** Where and how programs are compiled. */
export interface XlaTarget {
  readonly client: PjrtClient;
  readonly device: XlaDevice;
  readonly threads: number;
  /** What matrix products multiply. */
  readonly multiply: ProductType;
}

/** Inputs by name: numbers of the host, which are uploaded for one run, or what is on the device already. */
export type XlaInputs = Readonly<Record<string, HostArray | PjrtBuffer>>;

/**
 * A program of a model by XLA: it takes all parameters as one flat input and gives all gradients as one flat output
 * (passes/flatten_parameters.ts), and caches as a whole (passes/keep_cache.ts). A step in float16 takes one more input, by
 * which loss and gradient are multiplied (passes/unscale_outputs.ts).
 */
export class XlaProgram implements Disposable {
  private constructor(
    private readonly client: PjrtClient,
    private readonly program: PjrtProgram,
    private readonly graph: Graph,
    /** The dropout masks that it takes. */
    readonly sites: readonly DropoutSite[],
    /** SHA-256 of its text. */
    readonly hash: string,
  ) {}

  static async compile(
    { client, device, threads, multiply }: XlaTarget,
    spec: ProgramSpec,
  ): Promise<XlaProgram> {
    const { graph: traced, sites } = await compileGraph(spec);
    const flat = flattenParameters(keepCache(traced, spec.model.config), spec.model);
    const graph = spec.kind === "train" && multiply === "float16" ? unscaleOutputs(flat) : flat;
    const code = lowerStablehlo(graph, { multiply });
    const options = compilerOptions(device, threads);
    const program = await compileXla({ client, device, options, code });
    return new XlaProgram(client, program, graph, sites, sha256(code));
  }

  /** Runs it; the outputs, by name, are the caller's to dispose of. */
  async run(inputs: XlaInputs): Promise<Record<string, PjrtBuffer>> {
    using uploaded = new DisposableStack();
    const given = this.graph.inputs.map(({ name, value }) => {
      const input = inputs[name];
      if (input instanceof PjrtBuffer) return input;
      return uploaded.use(this.client.upload(input, this.graph.type(value).shape, { inPlace: true }));
    });
    const results = await this.program.execute(given, this.graph.outputs.length);
    return Object.fromEntries(this.graph.outputs.map(({ name }, i) => [name, results[i]]));
  }

  /** Runs it and reads the outputs that are named, each into the numbers given for it; others are left on the device. */
  async read(inputs: XlaInputs, into: Readonly<Record<string, HostArray>>): Promise<void> {
    using results = new DisposableStack();
    const outputs = await this.run(inputs);
    for (const buffer of Object.values(outputs)) results.use(buffer);
    await Promise.all(Object.entries(into).map(([name, numbers]) => outputs[name].read(numbers)));
  }

  /** A run that is on its way ends first. */
  [Symbol.dispose](): void {
    this.program[Symbol.dispose]();
  }
}
