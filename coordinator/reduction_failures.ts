import { type Blame, mostNamed } from "./blame.ts";

/** Failed reductions that name a member, of generations in a row, before it is evicted. */
const FAILURES = 2;
/** A broken link is often the first that is heard of a death: what follows is awaited for so long, in ms. */
const GRACE_MS = 500;

/** A reduction that failed: who says so, and of whom. */
export interface ReductionFailure {
  readonly by: string;
  readonly about: string | null;
}

/** Reductions that failed: when the step is to be tried again, and without whom. */
export class ReductionFailures {
  /** Of this generation. */
  #failures: ReductionFailure[] = [];
  #inARow = 0;
  #retryAt: number | null = null;

  add(failure: ReductionFailure, now: number): void {
    if (this.#failures.length === 0) this.#inARow++;
    this.#failures.push(failure);
    this.#retryAt ??= now + GRACE_MS;
  }

  /** True once, when the step is to be tried again. */
  isDue(now: number): boolean {
    if (this.#retryAt === null || now < this.#retryAt) return false;
    this.#retryAt = null;
    return true;
  }

  /** Who is to go, after failures in several generations; null at first. */
  accused(): Blame | null {
    const standings = this.#failures.map(({ by, about }) => ({
      id: by,
      waitsFor: about === null ? [] : [about],
    }));
    const id = this.#inARow >= FAILURES ? mostNamed(standings) : null;
    if (id === null) return null;
    this.#inARow = 0;
    const by = this.#failures.filter(({ about }) => about === id).map(({ by }) => by).join(", ");
    return { id, why: `the link between it and ${by} fails` };
  }

  /** Another generation begins. */
  begin(): void {
    this.#failures = [];
    this.#retryAt = null;
  }

  /** A step was decided. */
  succeed(): void {
    this.#inARow = 0;
  }
}
