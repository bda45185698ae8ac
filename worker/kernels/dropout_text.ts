import { advance, countedLoop } from "./wat.ts";

/** lowbias32 (Chris Wellons, "Prospecting for hash functions"): every input bit moves every output bit. */
const MIX = [
  `(local.set $x (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))`,
  `(local.set $x (i32x4.mul (local.get $x) (i32x4.splat (i32.const 0x7feb352d))))`,
  `(local.set $x (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 15))))`,
  `(local.set $x (i32x4.mul (local.get $x) (i32x4.splat (i32.const 0x846ca68b))))`,
  `(local.set $x (v128.xor (local.get $x) (i32x4.shr_u (local.get $x) (i32.const 16))))`,
].join("\n");

/**
 * A dropout mask: number i is `scale` where hash(key, firstIndex + i) ≥ threshold, else 0, with
 * hash = mix(mix(low(index) xor key0) + (high(index) xor key1)), 32 bits, unsigned. The index is 64 bits wide, so that
 * the mask depends on the element alone, not on slices or blocks.
 */
export const dropoutText = `(func (export "dropoutMask")
  (param $dst i32) (param $n i32) (param $key0 i32) (param $key1 i32)
  (param $indexLow i32) (param $indexHigh i32) (param $threshold i32) (param $scale f32)
  (local $low v128) (local $x v128) (local $high v128)
  (local.set $low (i32x4.add (i32x4.splat (local.get $indexLow)) (v128.const i32x4 0 1 2 3)))
  (local.set $high (i32x4.sub (i32x4.splat (local.get $indexHigh))
    (i32x4.lt_u (local.get $low) (i32x4.splat (local.get $indexLow)))))
  ${
  countedLoop(
    "$by4",
    4,
    `(call $maskOf4 (local.get $low) (local.get $high) (local.get $key0) (local.get $key1)
       (local.get $threshold) (local.get $scale))
     (local.set $x)
     (v128.store (local.get $dst) (local.get $x))
     (local.set $x (i32x4.add (local.get $low) (i32x4.splat (i32.const 4))))
     (local.set $high (i32x4.sub (local.get $high) (i32x4.lt_u (local.get $x) (local.get $low))))
     (local.set $low (local.get $x))
     ${advance("$dst", 16)}`,
  )
}
  (local.set $x (call $maskOf4 (local.get $low) (local.get $high) (local.get $key0) (local.get $key1)
    (local.get $threshold) (local.get $scale)))
  ${
  countedLoop(
    "$by1",
    1,
    `(v128.store32_lane 0 (local.get $dst) (local.get $x))
     (local.set $x (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $x) (local.get $x)))
     ${advance("$dst", 4)}`,
  )
})

(func $maskOf4 (param $low v128) (param $high v128) (param $key0 i32) (param $key1 i32)
  (param $threshold i32) (param $scale f32) (result v128) (local $x v128)
  (local.set $x (v128.xor (local.get $low) (i32x4.splat (local.get $key0))))
  ${MIX}
  (local.set $x (i32x4.add (local.get $x) (v128.xor (local.get $high) (i32x4.splat (local.get $key1)))))
  ${MIX}
  (v128.and (i32x4.ge_u (local.get $x) (i32x4.splat (local.get $threshold))) (f32x4.splat (local.get $scale))))`;
