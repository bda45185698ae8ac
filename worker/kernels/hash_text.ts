import { advance, countedLoop } from "./wat.ts";

/** Bytes of the block that one hash covers; positions in the flat array are counted in such blocks. */
export const HASH_BLOCK_BYTES = 65_536;

/**
 * What each 16-byte vector of the first stripe is mixed with, and by how much that grows from stripe to stripe, so
 * that equal bytes count differently in each place: hexadecimal digits of √2, √3, √5, √7, made odd where added.
 */
export const SECRETS = [
  "0x6a09e667 0xf3bcc908 0xb2fb1366 0xea957d3e",
  "0xbb67ae85 0x84caa73b 0x25742d70 0x78b83b89",
  "0x3c6ef372 0xfe94f82b 0xe7398089 0xbed72d7b",
  "0xa54ff53a 0x5f1d36f1 0x1c6e5e6b 0x0a6a9d21",
];
export const STRIDES = [
  "0x9e3779b1 0x85ebca6b 0xc2b2ae35 0x27d4eb2f",
  "0x165667b1 0xd3a2646d 0xfd7046c5 0xb55a4f09",
  "0x7feb352d 0x846ca68b 0x68e31da5 0xb5297a4d",
  "0x1b56c4e9 0x2c1b3c6d 0x297a2d39 0x3c79ac49",
];
export const MULTIPLIER = "0x9e3779b185ebca87";
export const INDEX_MULTIPLIER = "0xc2b2ae3d27d4eb4f";

/** Adds one stripe of 64 bytes, in $v0 … $v3, to the four accumulators. */
const ADD_STRIPE = [
  addPair("$v0", "$v1", { secrets: ["$s0", "$s1"], sums: ["$a0", "$a1"] }),
  addPair("$v2", "$v3", { secrets: ["$s2", "$s3"], sums: ["$a2", "$a3"] }),
  ...STRIDES.map((stride, i) =>
    `(local.set $s${i} (i32x4.add (local.get $s${i}) (v128.const i32x4 ${stride})))`
  ),
].join("\n");

/** Two vectors under their secrets, multiplied lane by lane to 64 bits, plus the vectors themselves. */
function addPair(x: string, y: string, { secrets, sums }: { secrets: string[]; sums: string[] }): string {
  return `
    (local.set $p (v128.xor (local.get ${x}) (local.get ${secrets[0]})))
    (local.set $q (v128.xor (local.get ${y}) (local.get ${secrets[1]})))
    (local.set ${sums[0]} (i64x2.add (local.get ${sums[0]}) (i64x2.add (local.get ${x})
      (i64x2.extmul_low_i32x4_u (local.get $p) (local.get $q)))))
    (local.set ${sums[1]} (i64x2.add (local.get ${sums[1]}) (i64x2.add (local.get ${y})
      (i64x2.extmul_high_i32x4_u (local.get $p) (local.get $q)))))`;
}

/** Loads vector i of a stripe of which only $n numbers exist; the others count as zero. */
function loadMasked(i: number): string {
  const lanes = [0, 1, 2, 3].map((lane) => 4 * i + lane).join(" ");
  return `(local.set $v${i} (v128.and (v128.load offset=${16 * i} (local.get $ptr))
    (i32x4.gt_u (i32x4.splat (local.get $n)) (v128.const i32x4 ${lanes}))))`;
}

const scramble = `
  (local.set $h (v128.xor (local.get $h) (i64x2.shr_u (local.get $h) (i32.const 32))))
  (local.set $h (i64x2.mul (local.get $h) (i64x2.splat (i64.const ${MULTIPLIER}))))
  (local.set $h (v128.xor (local.get $h) (i64x2.shr_u
    (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $h) (local.get $h)) (i32.const 29))))`;

const foldIn = (sum: string) =>
  `${scramble}
  (local.set $h (i64x2.add (local.get $h) (local.get ${sum})))`;

/**
 * `hash(ptr, n, block)` adds to the running total the hashes of the blocks that n numbers at ptr make; the first of
 * them is block number `block` of its flat array, and only the last may be short. A block's hash depends on its
 * bytes, length and number, and the total is a sum over blocks, in 32-bit lanes: parts may come in any order.
 * `hashReset()` empties the total; `hashLane(i)` reads lane i.
 */
export const hashText = `
(global $total (mut v128) (v128.const i32x4 0 0 0 0))
(func (export "hashReset") (global.set $total (v128.const i32x4 0 0 0 0)))
(func (export "hashLane") (param $i i32) (result i32)
  (if (i32.eqz (local.get $i)) (then (return (i32x4.extract_lane 0 (global.get $total)))))
  (if (i32.eq (local.get $i) (i32.const 1)) (then (return (i32x4.extract_lane 1 (global.get $total)))))
  (if (i32.eq (local.get $i) (i32.const 2)) (then (return (i32x4.extract_lane 2 (global.get $total)))))
  (i32x4.extract_lane 3 (global.get $total)))
(func (export "hash") (param $ptr i32) (param $n i32) (param $block i32) (local $part i32)
  (loop $next
    (local.set $part (select (local.get $n) (i32.const ${HASH_BLOCK_BYTES / 4})
      (i32.lt_u (local.get $n) (i32.const ${HASH_BLOCK_BYTES / 4}))))
    (global.set $total (i32x4.add (global.get $total)
      (call $blockHash (local.get $ptr) (local.get $part) (local.get $block))))
    ${advance("$ptr", HASH_BLOCK_BYTES)}
    ${advance("$block", 1)}
    (local.set $n (i32.sub (local.get $n) (local.get $part)))
    (br_if $next (local.get $n))))

(func $blockHash (param $ptr i32) (param $n i32) (param $block i32) (result v128)
  (local $v0 v128) (local $v1 v128) (local $v2 v128) (local $v3 v128)
  (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
  (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
  (local $p v128) (local $q v128) (local $h v128)
  ${SECRETS.map((secret, i) => `(local.set $s${i} (v128.const i32x4 ${secret}))`).join("\n")}
  (local.set $h (i64x2.splat (i64.add
    (i64.mul (i64.extend_i32_u (local.get $block)) (i64.const ${INDEX_MULTIPLIER}))
    (i64.extend_i32_u (local.get $n)))))
  ${
  countedLoop(
    "$stripe",
    16,
    `${[0, 1, 2, 3].map((i) => `(local.set $v${i} (v128.load offset=${16 * i} (local.get $ptr)))`).join("\n")}
     ${ADD_STRIPE}
     ${advance("$ptr", 64)}`,
  )
}
  (if (local.get $n) (then
    ${[0, 1, 2, 3].map(loadMasked).join("\n")}
    ${ADD_STRIPE}))
  (local.set $h (v128.xor (local.get $h) (local.get $s0)))
  ${["$a0", "$a1", "$a2", "$a3"].map(foldIn).join("\n")}
  ${scramble}
  ${scramble}
  (local.get $h))`;
