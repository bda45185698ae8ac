/** What the kernels must compute, written plainly: strict float32 by Math.fround, 64-bit words by BigInt. */

const f = Math.fround;

export function addReference(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((x, i) => f(x + b[i]));
}

export interface AdamwScalars {
  scale: number;
  beta1: number;
  beta2: number;
  decay: number;
  step: number;
  root: number;
  eps: number;
}

/** One AdamW step on copies: the new p, m, v. */
export function adamwReference(
  state: { p: Float32Array; g: Float32Array; m: Float32Array; v: Float32Array },
  scalars: AdamwScalars,
): { p: Float32Array<ArrayBuffer>; m: Float32Array<ArrayBuffer>; v: Float32Array<ArrayBuffer> } {
  const { scale, beta1, beta2, decay, step, root, eps } = scalars;
  const [p, m, v] = [state.p.slice(), state.m.slice(), state.v.slice()];
  for (let i = 0; i < p.length; i++) {
    const g = f(state.g[i] * scale);
    m[i] = f(f(m[i] * beta1) + f(g * f(1 - beta1)));
    v[i] = f(f(v[i] * beta2) + f(f(g * g) * f(1 - beta2)));
    p[i] = f(f(p[i] * decay) - f(f(m[i] * step) / f(f(f(Math.sqrt(v[i])) * root) + eps)));
  }
  return { p, m, v };
}

export function squaresReference(a: Float32Array): number {
  const sums = [0, 0, 0, 0];
  a.forEach((x, i) => sums[i % 4] += x * x);
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

function mix(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return x ^ (x >>> 16);
}

/** The hash that decides about element `index`, as an unsigned 32-bit number. */
export function dropoutHash(index: bigint, key: readonly [number, number]): number {
  const low = Number(index & 0xffff_ffffn);
  const high = Number((index >> 32n) & 0xffff_ffffn);
  return mix((mix(low ^ key[0]) + (high ^ key[1])) | 0) >>> 0;
}

const M64 = (1n << 64n) - 1n;
const SECRETS = [
  [0x6a09e667, 0xf3bcc908, 0xb2fb1366, 0xea957d3e],
  [0xbb67ae85, 0x84caa73b, 0x25742d70, 0x78b83b89],
  [0x3c6ef372, 0xfe94f82b, 0xe7398089, 0xbed72d7b],
  [0xa54ff53a, 0x5f1d36f1, 0x1c6e5e6b, 0x0a6a9d21],
];
const STRIDES = [
  [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f],
  [0x165667b1, 0xd3a2646d, 0xfd7046c5, 0xb55a4f09],
  [0x7feb352d, 0x846ca68b, 0x68e31da5, 0xb5297a4d],
  [0x1b56c4e9, 0x2c1b3c6d, 0x297a2d39, 0x3c79ac49],
];
const MULTIPLIER = 0x9e3779b185ebca87n;
const INDEX_MULTIPLIER = 0xc2b2ae3d27d4eb4fn;

const wide = (words: ArrayLike<number>, lane: number) =>
  (BigInt(words[2 * lane + 1] >>> 0) << 32n) | BigInt(words[2 * lane] >>> 0);

type Pair = [bigint, bigint];

function scramble(h: Pair): Pair {
  const [x, y] = h.map((lane) => ((lane ^ (lane >> 32n)) * MULTIPLIER) & M64);
  return [x ^ (y >> 29n), y ^ (x >> 29n)];
}

/** The hash of one block of at most 16,384 numbers. */
function blockHash(numbers: Float32Array, block: number): Uint32Array {
  const words = new Uint32Array(Math.ceil(numbers.length / 16) * 16);
  words.set(new Uint32Array(numbers.slice().buffer));
  const secrets = SECRETS.map((secret) => Uint32Array.from(secret));
  const sums: Pair[] = [[0n, 0n], [0n, 0n], [0n, 0n], [0n, 0n]];
  for (let at = 0; at < words.length; at += 16) {
    const stripe = [0, 1, 2, 3].map((i) => words.subarray(at + 4 * i, at + 4 * i + 4));
    for (const [x, y] of [[0, 1], [2, 3]]) {
      const product = [0, 1, 2, 3].map((lane) =>
        BigInt((stripe[x][lane] ^ secrets[x][lane]) >>> 0) *
        BigInt((stripe[y][lane] ^ secrets[y][lane]) >>> 0)
      );
      for (const lane of [0, 1]) {
        sums[x][lane] = (sums[x][lane] + wide(stripe[x], lane) + product[lane]) & M64;
        sums[y][lane] = (sums[y][lane] + wide(stripe[y], lane) + product[lane + 2]) & M64;
      }
    }
    secrets.forEach((secret, i) => secret.forEach((_, lane) => secret[lane] += STRIDES[i][lane]));
  }
  const seed = (BigInt(block) * INDEX_MULTIPLIER + BigInt(numbers.length)) & M64;
  let h: Pair = [seed ^ wide(secrets[0], 0), seed ^ wide(secrets[0], 1)];
  for (const sum of sums) {
    const [x, y] = scramble(h);
    h = [(x + sum[0]) & M64, (y + sum[1]) & M64];
  }
  h = scramble(scramble(h));
  return Uint32Array.from(h.flatMap((lane) => [Number(lane & 0xffff_ffffn), Number(lane >> 32n)]));
}

/** The hash of numbers whose first block is number `firstBlock` of its array: the sum of the block hashes. */
export function hashReference(numbers: Float32Array, firstBlock: number): Uint32Array {
  const total = new Uint32Array(4);
  for (let at = 0, block = firstBlock; at < numbers.length; at += 16_384, block++) {
    blockHash(numbers.subarray(at, at + 16_384), block).forEach((lane, i) => total[i] += lane);
  }
  return total;
}
