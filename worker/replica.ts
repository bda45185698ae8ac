import { modelConfig } from "../shared/config/model_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import type { StepScalars } from "../shared/schedule.ts";
import { Arena } from "./arena.ts";
import type { Engine, ResidentState } from "./engines/engine.ts";
import { bindKernels, compileKernels } from "./kernels/kernels.ts";
import { initialize } from "./model/init.ts";
import { loadModel, type Model } from "./model/load_model.ts";
import { loadWeights } from "./model/load_weights.ts";
import { AdamW, type AdamWOptions } from "./optimizer/adamw.ts";
import { clipScale } from "./optimizer/clip.ts";
import { ATOM } from "./optimizer/clip.ts";

/** Regions of the state: the first three, in this order, are what a checkpoint holds. */
export type StateRegion = "parameters" | "m" | "v" | "reduced" | "squares";

/** Master parameters, moments and the reduced gradient of one member, and the update that keeps all members alike. */
export class Replica implements Disposable {
  readonly #options: AdamWOptions;
  readonly #optimizer: AdamW;
  #resident: ResidentState | undefined;
  #version = 0;

  private constructor(
    readonly config: RunConfig,
    readonly model: Model,
    readonly state: Arena<StateRegion>,
    /** The kernels, for other memories and threads. */
    readonly module: WebAssembly.Module,
  ) {
    const region = (name: StateRegion) => state.region(name);
    this.#options = {
      regions: {
        parameters: region("parameters"),
        gradient: region("reduced"),
        m: region("m"),
        v: region("v"),
      },
      tensors: model.parameters,
      config,
    };
    this.#optimizer = new AdamW(bindKernels(module, { arena: state }), this.#options);
  }

  /** Loads the model and reserves its memory; the numbers are zero until `initialize` or until they are received. */
  static async create(config: RunConfig): Promise<Replica> {
    const model = await loadModel(modelConfig(config), config.model);
    const n = model.size;
    const state = Arena.create({ parameters: n, m: n, v: n, reduced: n, squares: 2 * Math.ceil(n / ATOM) });
    state.adviseHugePages();
    return new Replica(config, model, state, await compileKernels({ shared: state.shared }));
  }

  /** The start of a run: weights from the seed, or those that `init_from` names; no moments. */
  async initialize(init_from = this.config.init_from): Promise<void> {
    const { seed } = this.config;
    const parameters = this.state.region("parameters").view;
    initialize(this.model, parameters, seed);
    if (init_from !== "scratch" && init_from !== "resume") {
      await loadWeights(this.model, parameters, init_from, { resize: true });
    }
    this.written();
  }

  /** What keeps the state on the device of an engine, for other engines of that kind. */
  get resident(): ResidentState | undefined {
    return this.#resident;
  }

  /** How often the parameters have changed. */
  get version(): number {
    return this.#version;
  }

  /** Has the engine keep the state on its device, if it does that. */
  async settle(engine: Engine): Promise<void> {
    this.#resident ??= await engine.resident?.(this.#options);
  }

  /** Somebody has written the arena's parameters and moments: they count from now on. */
  written(): void {
    this.#version++;
    this.#resident?.invalidate();
  }

  /** Applies the reduced gradient, clipped by its norm; resolves to the hash of the new state. */
  async apply(scalars: StepScalars, gradNorm: number): Promise<string> {
    this.#version++;
    const scale = clipScale(gradNorm, this.config.grad_clip);
    if (this.#resident === undefined) {
      this.#optimizer.apply(scalars, scale);
      return this.#optimizer.stateHash();
    }
    await this.#resident.apply(scalars, scale);
    return await this.#resident.hash();
  }

  /** Brings the arena's parameters and moments up to date. */
  async download(): Promise<void> {
    await this.#resident?.download();
  }

  /** 32 hex digits that stand for the arena's parameters and moments. */
  stateHash(): string {
    return this.#optimizer.stateHash();
  }

  [Symbol.dispose](): void {
    this.#resident?.[Symbol.dispose]();
    this.#resident = undefined;
  }
}
