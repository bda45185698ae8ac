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

/** One hash of two that a kernel may take at a time: the locals of a stripe's vectors and of its four accumulators. */
interface HashLocals {
  vector: string;
  sum: string;
}
const FIRST: HashLocals = { vector: "$v", sum: "$a" };
const SECOND: HashLocals = { vector: "$w", sum: "$b" };

/** Adds one stripe of 64 bytes to the four accumulators of a hash. */
function addStripe({ vector, sum }: HashLocals): string {
  const pair = (x: number, y: number) =>
    addPair(`${vector}${x}`, `${vector}${y}`, {
      secrets: [`$s${x}`, `$s${y}`],
      sums: [`${sum}${x}`, `${sum}${y}`],
    });
  return pair(0, 1) + pair(2, 3);
}

/** The secrets of the next stripe. */
const NEXT_SECRETS = STRIDES.map((stride, i) =>
  `(local.set $s${i} (i32x4.add (local.get $s${i}) (v128.const i32x4 ${stride})))`
).join("\n");

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

const scramble = `
  (local.set $h (v128.xor (local.get $h) (i64x2.shr_u (local.get $h) (i32.const 32))))
  (local.set $h (i64x2.mul (local.get $h) (i64x2.splat (i64.const ${MULTIPLIER}))))
  (local.set $h (v128.xor (local.get $h) (i64x2.shr_u
    (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $h) (local.get $h)) (i32.const 29))))`;

const foldIn = (sum: string) =>
  `${scramble}
  (local.set $h (i64x2.add (local.get $h) (local.get ${sum})))`;

/** A kernel that hashes numbers block by block while it does something else with them. */
interface HashingKernel {
  name: string;
  /** Locals that hold a pointer each; all move on together. */
  pointers: string[];
  /** Further parameters, after the number of the first block. */
  scalars?: { name: string; type: "f32" | "i32" }[];
  /** Vector i of a stripe of 16 numbers at the pointers: what is hashed. */
  load(i: number): string;
  /** Vector i of a second stream that is hashed apart, from the first one's in local $v0 … $v3. */
  second?(i: number): string;
  /** What else is done with vector i of a whole stripe, which local $v0 … $v3 holds, and $w0 … $w3 the second one's. */
  use?(i: number): string;
  /** What else is done with each number of the last, shorter stripe, at the pointers. */
  useOne?: string;
}

const VECTORS = [0, 1, 2, 3];
const TOTALS = ["$total", "$secondTotal"];

/**
 * The text of function `name(...pointers, n, block, ...scalars)`, which adds the hashes of the blocks that n > 0 numbers
 * make to the running total, and those of the second stream to the second total.
 */
function hashingKernel(kernel: HashingKernel): string {
  const { name, pointers, scalars = [], load, second } = kernel;
  const hashes = second === undefined ? [FIRST] : [FIRST, SECOND];
  const parameters = pointers.map((pointer) => `(param ${pointer} i32)`).join(" ");
  const further = scalars.map((scalar) => `(param ${scalar.name} ${scalar.type})`).join(" ");
  const given = [...pointers, "$part", "$block", ...scalars.map((scalar) => scalar.name)];
  const mix = hashes.map(addStripe).join("\n") + NEXT_SECRETS;
  const set = (i: number, mask = (vector: string) => vector) =>
    `(local.set $v${i} ${mask(load(i))}) ${second ? `(local.set $w${i} ${mask(second(i))})` : ""}`;
  const move = (bytes: number) => pointers.map((pointer) => advance(pointer, bytes)).join(" ");
  return `
(func (export "${name}") ${parameters} (param $n i32) (param $block i32) ${further} (local $part i32)
  (loop $next
    (local.set $part (select (local.get $n) (i32.const ${HASH_BLOCK_BYTES / 4})
      (i32.lt_u (local.get $n) (i32.const ${HASH_BLOCK_BYTES / 4}))))
    (call $${name}Block ${given.map((local) => `(local.get ${local})`).join(" ")})
    ${move(HASH_BLOCK_BYTES)}
    ${advance("$block", 1)}
    (local.set $n (i32.sub (local.get $n) (local.get $part)))
    (br_if $next (local.get $n))))

(func $${name}Block ${parameters} (param $n i32) (param $block i32) ${further}
  ${
    hashes.flatMap(({ vector, sum }) =>
      VECTORS.map((i) => `(local ${vector}${i} v128) (local ${sum}${i} v128)`)
    ).join(" ")
  }
  ${VECTORS.map((i) => `(local $s${i} v128)`).join(" ")}
  (local $p v128) (local $q v128) (local $seed v128) (local $h v128)
  ${SECRETS.map((secret, i) => `(local.set $s${i} (v128.const i32x4 ${secret}))`).join("\n")}
  (local.set $seed (i64x2.splat (i64.add
    (i64.mul (i64.extend_i32_u (local.get $block)) (i64.const ${INDEX_MULTIPLIER}))
    (i64.extend_i32_u (local.get $n)))))
  ${
    countedLoop(
      "$stripe",
      16,
      `${VECTORS.map((i) => `${set(i)} ${kernel.use?.(i) ?? ""}`).join("\n")}
       ${mix}
       ${move(64)}`,
    )
  }
  (if (local.get $n) (then
    ${VECTORS.map((i) => set(i, (vector) => `(v128.and ${vector} ${existing(i)})`)).join("\n")}
    ${mix}
    ${kernel.useOne === undefined ? "" : countedLoop("$one", 1, `${kernel.useOne} ${move(4)}`)}))
  ${hashes.map(({ sum }, i) => addToTotal(sum, TOTALS[i])).join("\n")})`;
}

/** The end of a block's hash: folds its accumulators and adds the result to a total. */
function addToTotal(sum: string, total: string): string {
  return `
  (local.set $h (v128.xor (local.get $seed) (local.get $s0)))
  ${VECTORS.map((i) => foldIn(`${sum}${i}`)).join("\n")}
  ${scramble}
  ${scramble}
  (global.set ${total} (i32x4.add (global.get ${total}) (local.get $h)))`;
}

/** A mask of the numbers of vector i that exist where $n are left. */
function existing(i: number): string {
  return `(i32x4.gt_u (i32x4.splat (local.get $n)) (v128.const i32x4 ${
    VECTORS.map((j) => 4 * i + j).join(" ")
  }))`;
}

const hash = hashingKernel({
  name: "hash",
  pointers: ["$ptr"],
  load: (i) => `(v128.load offset=${16 * i} (local.get $ptr))`,
});

/** dst = a peer's numbers; what is hashed is what was read. */
const fetch = hashingKernel({
  name: "fetch",
  pointers: ["$dst", "$src"],
  load: (i) => `(v128.load $peer offset=${16 * i} (local.get $src))`,
  use: (i) => `(v128.store offset=${16 * i} (local.get $dst) (local.get $v${i}))`,
  useOne: `(f32.store (local.get $dst) (f32.load $peer (local.get $src)))`,
});

/** dst = a + a peer's numbers; what is hashed is what was read of the peer. */
const fetchAdd = hashingKernel({
  name: "fetchAdd",
  pointers: ["$dst", "$a", "$src"],
  load: (i) => `(v128.load $peer offset=${16 * i} (local.get $src))`,
  use: (i) =>
    `(v128.store offset=${16 * i} (local.get $dst)
      (f32x4.add (v128.load offset=${16 * i} (local.get $a)) (local.get $v${i})))`,
  useOne:
    `(f32.store (local.get $dst) (f32.add (f32.load (local.get $a)) (f32.load $peer (local.get $src))))`,
});

/** dst = a / s in the result memory, with its hash. */
const finish = hashingKernel({
  name: "finish",
  pointers: ["$dst", "$a"],
  scalars: [{ name: "$s", type: "f32" }],
  load: (i) => `(f32x4.div (v128.load offset=${16 * i} (local.get $a)) (f32x4.splat (local.get $s)))`,
  use: (i) => `(v128.store $result offset=${16 * i} (local.get $dst) (local.get $v${i}))`,
  useOne: `(f32.store $result (local.get $dst) (f32.div (f32.load (local.get $a)) (local.get $s)))`,
});

const quotient = (a: string, b: string) => `(f32x4.div (f32x4.add ${a} ${b}) (f32x4.splat (local.get $s)))`;

/** dst = (a + b) / s in the result memory, with its hash. */
const finishAdd = hashingKernel({
  name: "finishAdd",
  pointers: ["$dst", "$a", "$b"],
  scalars: [{ name: "$s", type: "f32" }],
  load: (i) =>
    quotient(`(v128.load offset=${16 * i} (local.get $a))`, `(v128.load offset=${16 * i} (local.get $b))`),
  use: (i) => `(v128.store $result offset=${16 * i} (local.get $dst) (local.get $v${i}))`,
  useOne: `(f32.store $result (local.get $dst)
    (f32.div (f32.add (f32.load (local.get $a)) (f32.load (local.get $b))) (local.get $s)))`,
});

/** dst = (a + a peer's numbers) / s in the result memory; hashed are what was read of the peer and, apart, dst. */
const finishFetchAdd = hashingKernel({
  name: "finishFetchAdd",
  pointers: ["$dst", "$a", "$src"],
  scalars: [{ name: "$s", type: "f32" }],
  load: (i) => `(v128.load $peer offset=${16 * i} (local.get $src))`,
  second: (i) => quotient(`(v128.load offset=${16 * i} (local.get $a))`, `(local.get $v${i})`),
  use: (i) => `(v128.store $result offset=${16 * i} (local.get $dst) (local.get $w${i}))`,
  useOne: `(f32.store $result (local.get $dst)
    (f32.div (f32.add (f32.load (local.get $a)) (f32.load $peer (local.get $src))) (local.get $s)))`,
});

/** Four lanes of a total from lane `first` on, as the end of a function of $i. */
const lanesOf = (total: string, first: number) =>
  [0, 1, 2, 3].map((lane) =>
    `(if (i32.eq (local.get $i) (i32.const ${first + lane}))
      (then (return (i32x4.extract_lane ${lane} (global.get ${total})))))`
  ).join("\n");

/**
 * `hash(ptr, n, block)` adds to the running total the hashes of the blocks that n > 0 numbers at ptr make; the first of
 * them is block number `block` of its flat array, and only the last may be short. A block's hash depends on its
 * bytes, length and number, and the total is a sum over blocks, in 32-bit lanes: parts may come in any order.
 * `fetch`, `fetchAdd`, `finish`, `finishAdd` and `finishFetchAdd` do so with the numbers that pass through their registers.
 * `hashReset()` empties both totals; `hashLane(i)` reads lane i of the first, lane i − 4 of the second.
 */
export const hashText = `
${TOTALS.map((total) => `(global ${total} (mut v128) (v128.const i32x4 0 0 0 0))`).join("\n")}
(func (export "hashReset")
  ${TOTALS.map((total) => `(global.set ${total} (v128.const i32x4 0 0 0 0))`).join("\n")})
(func (export "hashLane") (param $i i32) (result i32)
  ${TOTALS.map((total, i) => lanesOf(total, 4 * i)).join("\n")}
  (i32.const 0))
${[hash, fetch, fetchAdd, finish, finishAdd, finishFetchAdd].join("\n")}`;
