/** Words of the last block: reused, so that a draw allocates nothing. */
const block = new Uint32Array(4);

/** What a draw is for: the fourth counter word, so that different kinds of draws of one key never share a block. */
const USE = { derive: 0, uint32: 1, below: 2, uniform: 3, normal: 4, permute: 5 } as const;

const TWO_32 = 2 ** 32;
const TWO_53 = 2 ** 53;
const FEISTEL_ROUNDS = 6;

/**
 * Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): writes the four
 * words that belong to a counter of four words under a key of two to `out`.
 */
export function philox4x32(
  { counter, key }: { counter: ArrayLike<number>; key: ArrayLike<number> },
  out: Uint32Array,
): void {
  rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  out.set(block);
}

/** Ten rounds over plain numbers, the hot path: no array is made. */
function rounds(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(c0, 0xd251, 0x1f53);
    const high1 = multiplyHigh(c2, 0xcd9e, 0x8d57);
    const low0 = Math.imul(c0, 0xd2511f53);
    const low1 = Math.imul(c2, 0xcd9e8d57);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
}

/** The upper 32 bits of the 64-bit product of `a` and `bHigh · 65536 + bLow`, from 16-bit products. */
function multiplyHigh(a: number, bHigh: number, bLow: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const middle = (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16);
  const carry = (Math.imul(aLow, bHigh) >>> 0) + (middle & 0xffff);
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** A number in [0, 2^53) from words `at` and `at + 1` of the last block. */
function bits53(at: 0 | 2): number {
  return (block[at] >>> 11) * TWO_32 + block[at + 1];
}

/**
 * Random numbers without a state: each draw is a pure function of (seed, path, counter), so any process can make any
 * part of them in any order. A counter is an integer in [0, 2^53); different kinds of draws, paths and seeds are
 * independent.
 *
 * @example
 * ```ts
 * import { CounterRandom } from "./random.ts";
 *
 * const random = CounterRandom.fromSeed(1337, "init", "transformer.wte.weight");
 * random.normal(5) === random.normal(5); // true
 * ```
 */
export class CounterRandom {
  readonly #k0: number;
  readonly #k1: number;

  private constructor(k0: number, k1: number) {
    this.#k0 = k0;
    this.#k1 = k1;
  }

  /** The numbers of `seed`, an integer in [0, 2^53), for the purpose that `path` names. RangeError for another seed. */
  static fromSeed(seed: number, ...path: (string | number)[]): CounterRandom {
    return new CounterRandom(0, 0).derive(seed, ...path);
  }

  /** Independent numbers for a part of this one's purpose. Numbers in `path` are integers in [0, 2^53). */
  derive(...path: (string | number)[]): CounterRandom {
    let k0 = this.#k0;
    let k1 = this.#k1;
    for (const part of path) {
      const words = typeof part === "number" ? [part] : [part.length, ...codeUnits(part)];
      const kind = typeof part === "number" ? 0 : 1;
      for (const [i, word] of words.entries()) {
        checkInteger("random key part", word);
        rounds(word >>> 0, Math.floor(word / TWO_32), 2 * i + kind, USE.derive, k0, k1);
        k0 = block[0];
        k1 = block[1];
      }
    }
    return new CounterRandom(k0, k1);
  }

  /** An integer in [0, 2^32). */
  uint32(counter: number): number {
    this.#draw(Math.floor(counter / 4), 0, USE.uint32);
    return block[counter % 4];
  }

  /** An integer in [0, n), each equally likely, for n in [1, 2^53]. */
  below(n: number, counter: number): number {
    const limit = TWO_53 - TWO_53 % n; // what lies beyond would favour small numbers: drawn again
    for (let attempt = 0;; attempt++) {
      this.#draw(counter, attempt, USE.below);
      const first = bits53(0);
      if (first < limit) return first % n;
      const second = bits53(2);
      if (second < limit) return second % n;
    }
  }

  /** A float64 in [0, 1), a multiple of 2^-53. */
  uniform(counter: number): number {
    this.#draw(Math.floor(counter / 2), 0, USE.uniform);
    return bits53(counter % 2 === 0 ? 0 : 2) / TWO_53;
  }

  /** A draw from N(0, 1), rounded to float32. */
  normal(counter: number): number {
    const radius = this.#polar(Math.floor(counter / 2));
    const angle = polarAngle();
    return Math.fround(radius * (counter % 2 === 0 ? Math.cos(angle) : Math.sin(angle)));
  }

  /**
   * Fills `out` with draws from N(0, standardDeviation): element i is `normal(firstCounter + i)` times the deviation,
   * both in float32. `firstCounter` is even.
   */
  fillNormal(out: Float32Array, { firstCounter = 0, standardDeviation = 1 } = {}): void {
    const scale = Math.fround(standardDeviation);
    for (let i = 0; i < out.length; i += 2) {
      const radius = this.#polar((firstCounter + i) / 2);
      const angle = polarAngle();
      out[i] = scale * Math.fround(radius * Math.cos(angle));
      if (i + 1 < out.length) out[i + 1] = scale * Math.fround(radius * Math.sin(angle));
    }
  }

  /**
   * Where `index` goes in this key's permutation of 0 … size − 1: a bijection that needs no table. A Feistel network
   * over the next even power of two, walked until it comes back into range.
   */
  permute(index: number, size: number): number {
    const halfBits = Math.max(1, Math.ceil(Math.log2(size) / 2));
    const half = 2 ** halfBits;
    let x = index;
    do {
      let left = Math.floor(x / half);
      let right = x % half;
      for (let round = 0; round < FEISTEL_ROUNDS; round++) {
        this.#draw(right, round, USE.permute);
        [left, right] = [right, (left ^ block[0]) & (half - 1)];
      }
      x = left * half + right;
    } while (x >= size);
    return x;
  }

  /** Box and Muller's radius of pair `pair`; the block keeps the words of its angle. */
  #polar(pair: number): number {
    this.#draw(pair, 0, USE.normal);
    return Math.sqrt(-2 * Math.log((bits53(0) + 1) / TWO_53)); // (0, 1]: never log 0
  }

  #draw(counter: number, attempt: number, use: number): void {
    rounds(counter >>> 0, Math.floor(counter / TWO_32), attempt, use, this.#k0, this.#k1);
  }
}

/** Box and Muller's angle, from the words that the radius left. */
function polarAngle(): number {
  return 2 * Math.PI * (bits53(2) / TWO_53);
}

function codeUnits(text: string): number[] {
  return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
}

function checkInteger(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`Cannot use ${value} as a ${what}: it must be an integer from 0 to 2^53 - 1`);
}
