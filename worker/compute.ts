import type { RunConfig } from "../shared/config/run_config.ts";
import type { Dataset, Split } from "../shared/data/datasets/dataset.ts";
import { NO_DATASET } from "../shared/data/datasets/no_dataset.ts";
import { openDataset } from "../shared/data/datasets/open_dataset.ts";
import { LockstepError } from "../shared/errors.ts";
import type { StepScalars } from "../shared/schedule.ts";
import type { Request } from "../shared/tasks/task.ts";
import { Arena, type Region, type SharedArena } from "./arena.ts";
import { chosenEngine } from "./engines/decide_engine.ts";
import type { Engine } from "./engines/engine.ts";
import { isEnginePath, openEngine } from "./engines/open_engine.ts";
import { sliceRows } from "./engines/slices.ts";
import { Evaluator } from "./evaluator.ts";
import { moduleHash } from "./module_hash.ts";
import { flopsPerToken } from "./flops.ts";
import { bindKernels } from "./kernels/kernels.ts";
import { Replica, type StateRegion } from "./replica.ts";
import {
  type ComputedStep,
  type OnPartial,
  ShardTrainer,
  type TrainingOptions,
  type TrainingSetup,
} from "./shard_trainer.ts";

/** What a member's other threads and its coordinator must know of its computation. */
export interface ComputeInfo {
  readonly engine: string;
  readonly device: string;
  /** Names and shapes in the order of the flat parameters. */
  readonly parameters: { readonly name: string; readonly shape: readonly number[] }[];
  /** Elements of all parameters. */
  readonly size: number;
  /** Rows of a micro-batch that are computed at once. */
  readonly sliceRows: number;
  readonly flopsPerToken: number;
  /** SHA-256 of the model's module, or "gpt". */
  readonly modelSource: string;
  /** SHA-256 of the user's own engine; null for a built-in one. */
  readonly engineSource: string | null;
  /** SHA-256 of each data file. */
  readonly data: Readonly<Record<string, string>>;
}

/** The memory and the kernels of a computation, for the threads beside it. */
export interface ComputeMemory {
  readonly state: SharedArena<StateRegion>;
  readonly module: WebAssembly.Module;
}

export interface LoadOptions {
  /**
   * An engine may keep the state on its device. By default each step copies it into the arena (12 bytes a parameter); with
   * this, only `download` does, which must be called before the arena's state is read.
   */
  readonly stateOnDemand?: boolean;
  /** Whether it answers tasks and nothing else, so that the data need not be there. */
  readonly tasksOnly?: boolean;
}

/** All that a member computes. {@link Compute} does it in this thread, ComputeClient in one of its own. */
export interface Computing {
  /** Loads model and data and reserves memory. Called first, once. */
  load(config: RunConfig, options?: LoadOptions): Promise<ComputeInfo>;
  memory(): Promise<ComputeMemory>;
  /** Sets the run's start and resolves to the state's hash. */
  initialize(): Promise<string>;
  /** Takes the state that was written to the arena, and resolves to its hash. */
  stateHash(): Promise<string>;
  /** Brings the arena's state up to date, where {@link LoadOptions.stateOnDemand} leaves it behind. */
  download(): Promise<void>;
  /** Prepares for steps of any generation: memory and the compiled program. Called once. */
  prepare(options: TrainingOptions): Promise<TrainingSetup>;
  /** The run's own program on a fixed input, from the run's start: the hash of its gradient, which members compare. Changes the parameters. */
  fingerprint(): Promise<string>;
  /** From now on these shards are this member's. */
  deal(shards: readonly number[]): Promise<void>;
  /**
   * Computes what is missing of this member's gradients of a step, and the shard to audit; partial sums are announced as
   * they are complete.
   * Resolves to null after `abort`; what is complete then is kept for another attempt at the same step.
   */
  computeStep(step: number, audit: number | null): Promise<ComputedStep | null>;
  /** Ends `computeStep` after the shard that it is at. */
  abort(): void;
  /** Applies the reduced gradient and resolves to the state's hash. */
  apply(scalars: StepScalars, gradNorm: number): Promise<string>;
  /** Mean loss of one random micro-batch of a split. */
  estimate(at: { split: Split; index: number }): Promise<number>;
  /** What a task's batch asks of the model. */
  answer(request: Request): Promise<Int32Array | Float32Array>;
  close(): Promise<void>;
}

interface Loaded {
  readonly replica: Replica;
  readonly dataset: Dataset;
  readonly engines: Engine[];
  readonly stateOnDemand: boolean;
  trainer?: ShardTrainer;
  evaluator?: Promise<Evaluator>;
}

/** Computes in the thread that calls it. */
export class Compute implements Computing {
  #loaded: Loaded | undefined;
  #aborts = 0;

  constructor(private readonly onPartial: OnPartial) {}

  async load(
    config: RunConfig,
    { stateOnDemand = false, tasksOnly = false }: LoadOptions = {},
  ): Promise<ComputeInfo> {
    const dataset = tasksOnly ? NO_DATASET : await openDataset(config);
    const replica = await Replica.create(config);
    this.#loaded = { replica, dataset, engines: [], stateOnDemand };
    const { model } = replica;
    const { engine: name, device } = chosenEngine(config);
    return {
      engine: name,
      device,
      parameters: model.parameters.map(({ name, shape }) => ({ name, shape })),
      size: model.size,
      sliceRows: sliceRows({ batchSize: config.batch_size, length: config.block_size }),
      flopsPerToken: flopsPerToken(model.config, model.parameters, config.block_size),
      modelSource: model.source,
      engineSource: isEnginePath(name) ? await moduleHash(name) : null,
      data: dataset.sources,
    };
  }

  memory(): Promise<ComputeMemory> {
    const { state, module } = this.#ready().replica;
    return Promise.resolve({ state: state.share(), module });
  }

  async initialize(): Promise<string> {
    const { replica } = this.#ready();
    await replica.initialize();
    return replica.stateHash();
  }

  stateHash(): Promise<string> {
    const { replica } = this.#ready();
    replica.written();
    return Promise.resolve(replica.stateHash());
  }

  download(): Promise<void> {
    return this.#ready().replica.download();
  }

  async prepare(options: TrainingOptions): Promise<TrainingSetup> {
    const loaded = this.#ready();
    const { replica, dataset } = loaded;
    loaded.trainer = await ShardTrainer.create(replica, {
      ...options,
      dataset,
      openEngine: async ({ partials, slice }) => {
        const engine = await this.#openEngine(partials, slice);
        await replica.settle(engine);
        return engine;
      },
    });
    return loaded.trainer.setup;
  }

  async fingerprint(): Promise<string> {
    await this.#ready().replica.initialize("scratch"); // also where the run began from other weights
    return await this.#trainer().fingerprint();
  }

  deal(shards: readonly number[]): Promise<void> {
    this.#trainer().deal(shards);
    return Promise.resolve();
  }

  computeStep(
    step: number,
    audit: number | null,
    isAborted = this.#untilAbort(),
  ): Promise<ComputedStep | null> {
    return this.#trainer().computeStep(step, { audit, onPartial: this.onPartial, isAborted });
  }

  abort(): void {
    this.#aborts++;
  }

  async apply(scalars: StepScalars, gradNorm: number): Promise<string> {
    const { replica, stateOnDemand } = this.#ready();
    const stateHash = await replica.apply(scalars, gradNorm);
    if (!stateOnDemand) await replica.download();
    return stateHash;
  }

  async estimate(at: { split: Split; index: number }): Promise<number> {
    return await (await this.#evaluator()).estimate(at);
  }

  async answer(request: Request): Promise<Int32Array | Float32Array> {
    return await (await this.#evaluator()).answer(request);
  }

  async close(): Promise<void> {
    if (this.#loaded === undefined) return;
    for (const engine of this.#loaded.engines) await engine[Symbol.asyncDispose]();
    this.#loaded.replica[Symbol.dispose]();
    this.#loaded.dataset.close();
    this.#loaded = undefined;
  }

  #untilAbort(): () => boolean {
    const before = this.#aborts;
    return () => this.#aborts !== before;
  }

  #trainer(): ShardTrainer {
    const { trainer } = this.#ready();
    if (trainer === undefined) throw new LockstepError("E_ENGINE", "Cannot compute a step before prepare");
    return trainer;
  }

  #evaluator(): Promise<Evaluator> {
    const loaded = this.#ready();
    const { state } = loaded.replica;
    return loaded.evaluator ??= this.#openEngine(state, null).then((engine) =>
      new Evaluator(engine, loaded.dataset, loaded.replica.config)
    );
  }

  /** An engine whose gradients lie in `arena`. */
  async #openEngine<Name extends string>(arena: Arena<Name>, slice: Region | null): Promise<Engine> {
    const { replica, engines } = this.#ready();
    const { config, model, module, state } = replica;
    const kernels = bindKernels(module, { arena });
    const memory = {
      kernels,
      parameters: state.region("parameters"),
      slice,
      version: () => replica.version,
      resident: replica.resident,
    };
    const { engine: name, device } = chosenEngine(config);
    const engine = await openEngine(name, {
      model,
      memory,
      device,
      dtype: config.dtype,
      threads: config.threads,
    });
    engines.push(engine);
    return engine;
  }

  #ready(): Loaded {
    if (this.#loaded === undefined) throw new LockstepError("E_ENGINE", "Cannot compute before load");
    return this.#loaded;
  }
}
