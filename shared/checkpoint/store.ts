import { join } from "node:path";
import { LockstepError } from "../errors.ts";
import { type Disk, disk, fileError, writeFileAtomic } from "../files.ts";
import type { CheckpointState } from "./state.ts";
import { verifyCheckpoint } from "./verify.ts";
import { CheckpointWriter, type PublishedCheckpoint } from "./writer.ts";

/** A checkpoint that verified. */
export interface FoundCheckpoint {
  /** Its folder. */
  path: string;
  step: number;
  state: CheckpointState;
  /** A sentence for each checkpoint that was passed over, and why. */
  warnings: string[];
}

/** How a {@link CheckpointStore} keeps and writes. */
export interface StoreOptions {
  /** How many checkpoints that verify are kept, the newest ones; 2 at least. The best one is kept besides. Default 2. */
  keep?: number;
  /** The writer's epoch, which names its temporary folders. Default 0. */
  epoch?: number;
  disk?: Disk;
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const TEMPORARY = new RegExp(`^tmp-(?:(\\d+)-)?${UUID}$`);
const STEP = /^step-(\d{8,15})$/;
const ASIDE = /^(step-\d{8,15})\.aside$/;

/**
 * The checkpoints of a run: folders `step-00000500` with safetensors files and a state.json that holds their hashes, and
 * LATEST and BEST, one line each, that name folders and are only hints. A folder appears under its name complete and
 * durable or not at all. One process writes; any number may load.
 */
export class CheckpointStore {
  readonly #dir: string;
  readonly #keep: number;
  readonly #epoch: number;
  readonly #disk: Disk;

  /** `dir` is the run's checkpoints folder; begin() makes it where it is missing. */
  constructor(dir: string, options: StoreOptions = {}) {
    this.#dir = dir;
    this.#keep = Math.max(2, options.keep ?? 2);
    this.#epoch = options.epoch ?? 0;
    this.#disk = options.disk ?? disk;
  }

  /** Starts the checkpoint of `step`. Throws E_NO_SPACE or E_OUT_DIR where nothing can be written. */
  async begin(step: number): Promise<CheckpointWriter> {
    const path = this.#temporary();
    try {
      await this.#disk.mkdir(path);
    } catch (error) {
      throw fileError(error, `make ${path}`);
    }
    return new CheckpointWriter({
      step,
      path,
      disk: this.#disk,
      place: (state, { best }) => this.#place(path, { state, best }),
    });
  }

  /**
   * Finds a checkpoint and verifies every byte of it: the newest, the one with the lowest validation loss, or that of a step.
   * In place of a damaged or missing newest or best one, the newest that verifies is returned, with warnings.
   * Throws E_NO_CHECKPOINT if there is none, E_CHECKPOINT_CORRUPT if none verifies.
   */
  async load(which: "latest" | "best" | number): Promise<FoundCheckpoint> {
    const steps = await this.steps();
    const warnings: string[] = [];
    const causes: string[] = [];
    let candidates = steps.toReversed();
    if (which === "best") {
      const best = await this.named("BEST");
      if (best === null) warnings.push(`Cannot tell the best checkpoint of ${this.#dir}: taking the newest`);
      else candidates = [best, ...candidates.filter((step) => step !== best)];
    } else if (which !== "latest") {
      candidates = candidates.filter((step) => step === which);
    }
    if (candidates.length === 0) throw this.#noneOf(which, steps);
    for (const step of candidates) {
      const path = join(this.#dir, stepName(step));
      try {
        return { path, step, state: await this.#verify(step), warnings };
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        causes.push(error.message);
        warnings.push(`${error.code}: ${error.message}`);
      }
    }
    const ending = typeof which === "number" ? "" : ", and there is no other to load";
    throw new LockstepError("E_CHECKPOINT_CORRUPT", causes.join("; ") + ending);
  }

  /** The steps that have a checkpoint, verified or not, in rising order. */
  async steps(): Promise<number[]> {
    const steps = (await this.#names()).map(stepOf).filter((step) => step !== null);
    return steps.sort((a, b) => a - b);
  }

  /** The step that LATEST or BEST names, whether its checkpoint is there or not; null where there is no such line. */
  async named(name: "LATEST" | "BEST"): Promise<number | null> {
    try {
      return stepOf((await Deno.readTextFile(join(this.#dir, name))).trim());
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /**
   * Repairs what writers that died left: removes temporary folders of this and older epochs, and puts back a checkpoint
   * that was moved aside for one that never came. Called by the run's writer before its first begin(). Returns the names.
   */
  async sweep(): Promise<string[]> {
    const names = await this.#names();
    const repaired: string[] = [];
    for (const name of names) {
      const temporary = TEMPORARY.exec(name);
      const step = ASIDE.exec(name)?.[1];
      if (temporary !== null && Number(temporary[1] ?? 0) <= this.#epoch) {
        await this.#disk.remove(join(this.#dir, name));
        repaired.push(name);
      } else if (step !== undefined && !names.includes(step)) {
        await this.#disk.rename(join(this.#dir, name), join(this.#dir, step));
        repaired.push(name);
      }
    }
    return repaired;
  }

  /** Gives a complete temporary folder its name, then writes the hints and removes what need not be kept. */
  async #place(
    temporary: string,
    options: { state: CheckpointState; best: boolean },
  ): Promise<PublishedCheckpoint> {
    const name = stepName(options.state.step);
    const path = join(this.#dir, name);
    const adopted = await this.#holdsSame(options.state);
    if (adopted) {
      await this.#disk.remove(temporary);
    } else {
      await this.#rename(temporary, options.state.step);
      await this.#disk.syncDir(this.#dir);
    }
    await writeFileAtomic(join(this.#dir, "LATEST"), `${name}\n`, { disk: this.#disk });
    if (options.best) await writeFileAtomic(join(this.#dir, "BEST"), `${name}\n`, { disk: this.#disk });
    await this.#prune();
    return { path, adopted };
  }

  async #holdsSame(state: CheckpointState): Promise<boolean> {
    try {
      const found = await this.#verify(state.step);
      return found.state_hash === state.state_hash && found.config_hash === state.config_hash;
    } catch (error) {
      if (error instanceof LockstepError) return false;
      throw error;
    }
  }

  /** Renames to the step's name; what had it is kept as `step-N.aside` until the step is pruned. */
  async #rename(temporary: string, step: number): Promise<void> {
    const path = join(this.#dir, stepName(step));
    if (!(await this.steps()).includes(step)) return await this.#disk.rename(temporary, path);
    await this.#disk.remove(`${path}.aside`);
    await this.#disk.rename(path, `${path}.aside`);
    try {
      await this.#disk.rename(temporary, path);
    } catch (error) {
      await this.#disk.rename(`${path}.aside`, path);
      throw error;
    }
  }

  /** Removes what is older than the newest `keep` checkpoints that verify, except the best one. */
  async #prune(): Promise<void> {
    const steps = await this.steps();
    if (steps.length <= this.#keep) return;
    const best = await this.named("BEST");
    let verified = 0;
    for (const step of steps.toReversed()) {
      // Verified again each time: a file that was good when it was written may have rotted since.
      if (verified < this.#keep) verified += (await this.#isGood(step)) ? 1 : 0;
      else if (step !== best) await this.#discard(step);
    }
  }

  /** Takes the name away first, so that a half removed checkpoint is never seen. */
  async #discard(step: number): Promise<void> {
    const path = join(this.#dir, stepName(step));
    const temporary = this.#temporary();
    await this.#disk.remove(`${path}.aside`);
    await this.#disk.rename(path, temporary);
    await this.#disk.remove(temporary);
  }

  async #isGood(step: number): Promise<boolean> {
    try {
      await this.#verify(step);
      return true;
    } catch (error) {
      if (error instanceof LockstepError) return false;
      throw error;
    }
  }

  async #verify(step: number): Promise<CheckpointState> {
    const path = join(this.#dir, stepName(step));
    const state = await verifyCheckpoint(path);
    if (state.step === step) return state;
    throw new LockstepError(
      "E_CHECKPOINT_CORRUPT",
      `Cannot use ${path} as it holds the checkpoint of step ${state.step}`,
    );
  }

  async #names(): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(this.#dir))).map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  #temporary(): string {
    return join(this.#dir, `tmp-${this.#epoch}-${crypto.randomUUID()}`);
  }

  #noneOf(which: "latest" | "best" | number, steps: number[]): LockstepError {
    if (steps.length === 0) {
      return new LockstepError(
        "E_NO_CHECKPOINT",
        `Cannot load a checkpoint from ${this.#dir} as it holds none`,
      );
    }
    return new LockstepError(
      "E_NO_CHECKPOINT",
      `Cannot load step ${which} from ${this.#dir} as it holds steps ${steps.join(", ")}`,
    );
  }
}

/** The folder of a step's checkpoint: `step-00000500`. */
function stepName(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}

function stepOf(name: string): number | null {
  const digits = STEP.exec(name)?.[1];
  if (digits === undefined) return null;
  return stepName(Number(digits)) === name ? Number(digits) : null;
}
