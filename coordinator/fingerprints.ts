import { LockstepError } from "../shared/errors.ts";

export interface FingerprintsOptions {
  /** The run's so far; null where it is not known. */
  readonly expected: string | null;
  /** Whether members with other numerics are refused. */
  readonly deterministic: boolean;
  warn(sentence: string): void;
}

/** What the run's own program gives for a fixed input at each member: members that differ give other bits. */
export class Fingerprints {
  #common: string | null;
  /** Who has it: "the run so far", or a member's name. */
  #whose = "the run so far";
  /** Members differ, and somebody was told. */
  #differ = false;

  constructor(private readonly options: FingerprintsOptions) {
    this.#common = options.expected;
  }

  /** The one that members have in common, as far as they have one. */
  get common(): string | null {
    return this.#common;
  }

  /** Whether all members compute the same bits, so that any two of them can be compared. */
  get areAlike(): boolean {
    return !this.#differ;
  }

  /** Takes a member's. Throws E_NUMERICS for another one if the run is to be deterministic, otherwise warns once. */
  check(id: string, fingerprint: string | null): void {
    if (fingerprint === null || fingerprint === this.#common) return;
    if (this.#common === null) {
      this.#common = fingerprint;
      this.#whose = id;
      return;
    }
    const what = `${id} computes other bits than ${this.#whose} (fingerprint ${
      fingerprint.slice(0, 8)
    }, not ${this.#common.slice(0, 8)}): another processor or another version of a library`;
    if (this.options.deterministic) {
      throw new LockstepError(
        "E_NUMERICS",
        `Cannot take ${what}; use machines of one kind, or leave out --deterministic`,
      );
    }
    if (this.#differ) return;
    this.#differ = true;
    this.options.warn(`${what}; from here on the bits of the weights depend on who computes what`);
  }
}
