/** One sequence in 16 is held out, whatever the seed. */
const HELD_OUT = 16;

/** True if what stands in the first `length` places of `numbers` is kept for measuring, and never trained on. */
export function isHeldOut(numbers: Int32Array, length: number): boolean {
  let hash = length;
  for (let i = 0; i < length; i++) hash = mix(hash ^ numbers[i]);
  return (hash >>> 0) % HELD_OUT === 0;
}

/** The finaliser of MurmurHash3: a bijection of 32 bits in which every bit depends on every bit. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) + 0x9e3779b9 | 0; // the constant moves 0, which mixing alone would leave at 0
}
