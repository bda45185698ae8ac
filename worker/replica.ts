import { modelConfig } from "../shared/config/model_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import type { StepScalars } from "../shared/schedule.ts";
import { Arena } from "./arena.ts";
import { bindKernels, compileKernels } from "./kernels/kernels.ts";
import { initialize } from "./model/init.ts";
import { loadModel, type Model } from "./model/load_model.ts";
import { loadWeights } from "./model/load_weights.ts";
import { AdamW } from "./optimizer/adamw.ts";
import { clipScale } from "./optimizer/clip.ts";
import { ATOM } from "./optimizer/clip.ts";

/** Regions of the state: the first three, in this order, are what a checkpoint holds. */
export type StateRegion = "parameters" | "m" | "v" | "reduced" | "squares";

/** Master parameters, moments and the reduced gradient of one member, and the update that keeps all members alike. */
export class Replica {
  readonly #optimizer: AdamW;

  private constructor(
    readonly config: RunConfig,
    readonly model: Model,
    readonly state: Arena<StateRegion>,
    /** The kernels, for other memories and threads. */
    readonly module: WebAssembly.Module,
  ) {
    const region = (name: StateRegion) => state.region(name);
    this.#optimizer = new AdamW(bindKernels(module, { arena: state }), {
      regions: {
        parameters: region("parameters"),
        gradient: region("reduced"),
        m: region("m"),
        v: region("v"),
      },
      tensors: model.parameters,
      config,
    });
  }

  /** Loads the model and reserves its memory; the numbers are zero until `initialize` or until they are received. */
  static async create(config: RunConfig): Promise<Replica> {
    const model = await loadModel(modelConfig(config), config.model);
    const n = model.size;
    const state = Arena.create({ parameters: n, m: n, v: n, reduced: n, squares: 2 * Math.ceil(n / ATOM) });
    state.adviseHugePages();
    return new Replica(config, model, state, await compileKernels({ shared: state.shared }));
  }

  /** The start of a run: weights from the seed, or from the file that `init_from` names; no moments. */
  async initialize(): Promise<void> {
    const { init_from, seed } = this.config;
    const parameters = this.state.region("parameters").view;
    if (init_from === "scratch" || init_from === "resume") initialize(this.model, parameters, seed);
    else await loadWeights(this.model, parameters, init_from);
  }

  /** Applies the reduced gradient, clipped by its norm. */
  apply(scalars: StepScalars, gradNorm: number): void {
    this.#optimizer.apply(scalars, clipScale(gradNorm, this.config.grad_clip));
  }

  /** 32 hex digits that stand for parameters and moments. */
  stateHash(): string {
    return this.#optimizer.stateHash();
  }
}
