import type { ProgramKind } from "../compiler/compile.ts";
import { PARAMETERS } from "../compiler/passes/flatten_parameters.ts";
import type { AdamWOptions } from "../optimizer/adamw.ts";
import { DropoutMasks } from "./dropout_masks.ts";
import type {
  BatchShape,
  Decoder,
  Engine,
  EngineOptions,
  Forward,
  ResidentState,
  Scorer,
  Trainer,
} from "./engine.ts";
import { readMachine } from "./machine.ts";
import { PaddedDecoder } from "./padded_decoder.ts";
import type { PjrtClient, PjrtProgram } from "./pjrt.ts";
import { addProgram } from "./xla_add.ts";
import { compileXla } from "./xla_cache.ts";
import { XlaDecoder } from "./xla_decoder.ts";
import { XlaParameters } from "./xla_parameters.ts";
import { compilerOptions, isPluginThere, openXla, type XlaDevice } from "./xla_plugin.ts";
import { type XlaInputs, XlaProgram, type XlaTarget } from "./xla_program.ts";
import { XlaState } from "./xla_state.ts";
import { XlaTrainer } from "./xla_trainer.ts";

/** Programs compiled to StableHLO and run by XLA through a PJRT plugin, on an NVIDIA GPU or a CPU. */
export class XlaEngine implements Engine {
  readonly name = "xla";
  readonly #owned = new DisposableStack();
  readonly #copies: XlaParameters;
  #state: XlaState | undefined;

  constructor(
    readonly device: XlaDevice,
    private readonly client: PjrtClient,
    private readonly options: EngineOptions,
  ) {
    const { resident } = options.memory;
    this.#copies = this.#owned.use(new XlaParameters(client, options.memory));
    if (resident instanceof XlaState) this.#state = resident;
  }

  async trainer(shape: BatchShape): Promise<Trainer> {
    const program = await this.#compile("train", shape);
    const { dropout } = this.options.model.config;
    const masks = program.sites.length === 0 ? null : await DropoutMasks.create(program.sites, dropout);
    const narrow = this.options.dtype === "float16";
    const add = this.#owned.use(await this.#compileText(addProgram(this.options.model.size)));
    return new XlaTrainer({ program, add, masks, narrow, parameters: this.#parameters });
  }

  async scorer(shape: BatchShape): Promise<Scorer> {
    const program = await this.#compile("likelihood", shape);
    return {
      likelihood: async ({ tokens, targets }) => {
        const nll = new Float32Array(shape.batchSize * shape.length);
        const batch = { tokens: new Int32Array(tokens), targets: new Int32Array(targets) };
        await program.read({ ...this.#parameters(), ...batch }, { nll });
        return nll;
      },
    };
  }

  async forward(shape: BatchShape): Promise<Forward> {
    const program = await this.#compile("forward", shape);
    const { vocab_size } = this.options.model.config;
    return {
      logits: async (tokens) => {
        const logits = new Float32Array(shape.batchSize * shape.length * vocab_size);
        await program.read({ ...this.#parameters(), tokens: new Int32Array(tokens) }, { logits });
        return logits;
      },
    };
  }

  async decoder(shape: BatchShape): Promise<Decoder> {
    const { model } = this.options;
    const { batchSize } = shape;
    const { block_size, vocab_size } = model.config;
    if (!model.module.cached) {
      const forward = await this.forward({ batchSize, length: block_size });
      return new PaddedDecoder(forward, { batchSize, block_size, vocab_size });
    }
    return this.#owned.use(
      new XlaDecoder({
        prefill: await this.#compile("prefill", shape),
        decode: await this.#compile("decode", { batchSize, length: 1 }),
        window: () => this.#compile("prefill", { batchSize, length: block_size }),
        parameters: this.#parameters,
        model,
        shape,
      }),
    );
  }

  async resident(options: AdamWOptions): Promise<ResidentState> {
    return this.#state = await XlaState.create(this.#target(), options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#owned.dispose();
    return Promise.resolve();
  }

  async #compile(kind: ProgramKind, shape: BatchShape): Promise<XlaProgram> {
    const { model } = this.options;
    return this.#owned.use(await XlaProgram.compile(this.#target(), { kind, model, shape }));
  }

  #compileText(code: string): Promise<PjrtProgram> {
    const { client, device, threads } = this.#target();
    return compileXla({ client, device, options: compilerOptions(device, threads), code });
  }

  #target(): XlaTarget {
    return {
      client: this.client,
      device: this.device,
      threads: this.options.threads,
      multiply: this.options.dtype ?? "float32",
    };
  }

  #parameters = (): XlaInputs => ({
    [PARAMETERS]: this.#state?.parameters() ?? this.#copies.current(),
  });
}

/** What `openEngine("xla", …)` calls. Throws E_ENGINE with what to do where the device's plugin is not there. */
export async function open(options: EngineOptions): Promise<Engine> {
  const device = await deviceOf(options);
  return new XlaEngine(device, openXla(device), options);
}

/** Left to itself, it takes a GPU where it is set up for one. */
async function deviceOf({ device }: EngineOptions): Promise<XlaDevice> {
  if (device !== undefined) return device === "cuda" ? "cuda" : "cpu";
  return isPluginThere("cuda") && (await readMachine()).nvidiaGpus.length > 0 ? "cuda" : "cpu";
}
