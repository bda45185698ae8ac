import { LockstepError } from "../shared/errors.ts";
import { sha256 } from "../shared/hash.ts";
import { type Chain, chained, type StepLine, type Unchained } from "./ledger_chain.ts";

/** Where a ledger's lines go. */
export interface LedgerFile {
  /** Throws E_NO_SPACE or E_OUT_DIR where the line cannot be written; then nothing of it is there. */
  append(line: string): void;
  /** Makes durable what was appended. */
  sync(): Promise<void>;
}

/**
 * The decisions of a run, a line a step: before its line a step is only redone, after it only applied. Steps that the
 * adopted chain holds already are expectations: a replay must decide the same, and nothing is written for them.
 */
export class Ledger {
  readonly #steps: Map<number, StepLine>;
  #last: string;
  #next: number;

  constructor(
    private readonly file: LedgerFile,
    { last, next, steps }: Chain,
    /** Told where a replay came out otherwise, so that the lines from there on are void; without it that is an E_DIVERGED. */
    private readonly onRewind?: (sentence: string) => void,
  ) {
    this.#last = last;
    this.#next = next;
    this.#steps = new Map(steps);
  }

  /** The first step that was never decided. */
  get next(): number {
    return this.#next;
  }

  /** The decision of a step; undefined for one that is not decided. */
  decided(step: number): StepLine | undefined {
    return this.#steps.get(step);
  }

  /**
   * Decides a step. Throws E_DIVERGED if it was decided otherwise before, E_NO_SPACE or E_OUT_DIR if the line cannot be
   * written: then it is not decided.
   */
  decide(line: Unchained<StepLine>): void {
    const expected = this.#steps.get(line.step);
    if (expected !== undefined && !this.#differs(expected, line)) return;
    const text = chained(line, this.#last);
    this.file.append(text + "\n");
    this.#steps.set(line.step, { ...line, prev: this.#last });
    this.#steps.delete(line.step - KEPT_STEPS);
    this.#last = sha256(text);
    this.#next = line.step + 1;
  }

  /** Whether a step is to be decided anew, as its replay came out otherwise. */
  #differs(expected: StepLine, { epoch, step, grad_hash, state_hash }: Unchained<StepLine>): boolean {
    if (expected.grad_hash === grad_hash && expected.state_hash === state_hash) return false;
    const what = expected.state_hash === state_hash ? "gradient" : "state";
    const reason =
      `the replay of step ${step} gave another ${what} than the ledger's line of epoch ${expected.epoch}: ` +
      `this computer or its software computes otherwise than the one before`;
    if (this.onRewind === undefined) throw new LockstepError("E_DIVERGED", `Cannot go on as ${reason}`);
    this.onRewind(reason);
    this.rewind(step, { epoch, reason });
    return true;
  }

  /** Makes void what was decided from `step` on, for a run that computes otherwise from there. */
  rewind(step: number, { epoch, reason }: { epoch: number; reason: string }): void {
    if (step >= this.#next) return;
    const text = chained({ epoch, rewind: step, reason }, this.#last);
    this.file.append(text + "\n");
    for (let void_ = step; void_ < this.#next; void_++) this.#steps.delete(void_);
    this.#last = sha256(text);
    this.#next = step;
  }

  sync(): Promise<void> {
    return this.file.sync();
  }
}

/** Decisions that are kept in memory: a run goes back at most to its last checkpoints. */
const KEPT_STEPS = 100_000;
