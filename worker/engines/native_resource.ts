import { LockstepError } from "../../shared/errors.ts";

/** Something of a native library's that is freed once it was disposed of and no run uses it any more. */
export class NativeResource implements Disposable {
  #users = 0;
  #disposed = false;

  constructor(private readonly free: () => void) {}

  /** Does `work` with it. Throws E_ENGINE after it was disposed of. */
  async use(work: () => Promise<void>): Promise<void> {
    if (this.#disposed) {
      throw new LockstepError("E_ENGINE", "Cannot run a program after its engine was disposed of");
    }
    this.#users++;
    try {
      await work();
    } finally {
      this.#users--;
      if (this.#disposed && this.#users === 0) this.free();
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#users === 0) this.free();
  }
}
