import { HASH_BLOCK } from "../kernels/block_hash.ts";
import { INDEX_MULTIPLIER, MULTIPLIER, SECRETS, STRIDES } from "../kernels/hash_text.ts";
import { type Operand, StablehloText } from "../compiler/stablehlo_text.ts";

/** Numbers of a stripe: four vectors of four. */
const STRIPE = 16;

const wordsOf = (vectors: readonly string[]) => vectors.flatMap((vector) => vector.split(" ").map(BigInt));
const SECRET_WORDS = wordsOf(SECRETS);
const STRIDE_WORDS = wordsOf(STRIDES);

/**
 * A program (…float32 arrays) → uint32 (4): the hash of worker/kernels/block_hash.ts of flat arrays that follow each other,
 * each from a new block on. Only whole numbers are computed with, so that it has the same bits on any device.
 */
export function hashProgram(lengths: readonly number[]): string {
  const to = new StablehloText();
  const inputs = lengths.map((length) => to.input({ dtype: "float32", shape: [length] }));
  let firstBlock = 0;
  const parts = inputs.flatMap((input) => {
    const [length] = input.shape;
    const first = firstBlock;
    firstBlock += Math.ceil(length / HASH_BLOCK);
    return hashArray(to, input, first);
  });
  return to.module([parts.reduce((sum, part) => binary(to, "add", sum, part))]);
}

/** The hashes of an array's whole blocks, and of a shorter one at its end: their sum is the array's. */
function hashArray(to: StablehloText, x: Operand, firstBlock: number): Operand[] {
  const [length] = x.shape;
  const bits = to.emit("stablehlo.bitcast_convert", [x], { type: { dtype: "uint32", shape: [length] } });
  const whole = Math.floor(length / HASH_BLOCK);
  const parts: Operand[] = [];
  if (whole > 0) {
    const blocks = to.slice(bits, { begin: [0], size: [whole * HASH_BLOCK] });
    const shape = [whole, HASH_BLOCK / STRIPE, 4, 4];
    parts.push(hashBlocks(to, to.reshape(blocks, shape), { firstBlock, elements: HASH_BLOCK }));
  }
  const rest = length - whole * HASH_BLOCK;
  if (rest > 0) {
    const stripes = Math.ceil(rest / STRIPE);
    const tail = to.slice(bits, { begin: [length - rest], size: [rest] });
    const padded = to.pad(tail, { before: [0], after: [stripes * STRIPE - rest] });
    const at = { firstBlock: firstBlock + whole, elements: rest };
    parts.push(hashBlocks(to, to.reshape(padded, [1, stripes, 4, 4]), at));
  }
  return parts;
}

/** The sum of the hashes of blocks (F, stripes, 4, 4) of so many elements each. */
function hashBlocks(
  to: StablehloText,
  bits: Operand,
  { firstBlock, elements }: { firstBlock: number; elements: number },
): Operand {
  const [blocks, stripes] = bits.shape;
  const sums = accumulate(to, bits); // (F, 4, 2)
  const secret = SECRET_WORDS.slice(0, 4).map((word, i) =>
    BigInt.asUintN(32, word + BigInt(stripes) * STRIDE_WORDS[i])
  );
  const lastSecret = to.vector("uint64", [secret[0] | secret[1] << 32n, secret[2] | secret[3] << 32n]);
  const shape = [blocks, 2];
  const index = binary(
    to,
    "add",
    to.iota({ dtype: "uint64", shape }, 0),
    splat(to, shape, BigInt(firstBlock)),
  );
  const product = binary(to, "multiply", index, splat(to, shape, BigInt(INDEX_MULTIPLIER)));
  const seed = binary(to, "add", product, splat(to, shape, BigInt(elements)));
  let h = binary(to, "xor", seed, to.broadcast(lastSecret, shape));
  for (let i = 0; i < 4; i++) {
    const sum = to.reshape(to.slice(sums, { begin: [0, i, 0], size: [blocks, 1, 2] }), shape);
    h = binary(to, "add", scramble(to, h), sum);
  }
  h = scramble(to, scramble(to, h));
  return to.reduce("stablehlo.add", lanes(to, h), { axes: [0], initial: 0 });
}

/** The four accumulators of each block: (F, stripes, 4, 4) 32-bit words → (F, 4, 2) 64-bit ones. */
function accumulate(to: StablehloText, bits: Operand): Operand {
  const [blocks, stripes] = bits.shape;
  const table = [stripes, 4, 4];
  const count = to.iota({ dtype: "uint32", shape: table }, 0);
  const constants = (words: readonly bigint[]) =>
    to.broadcast(to.reshape(to.vector("uint32", words), [4, 4]), table);
  const secrets = binary(
    to,
    "add",
    constants(SECRET_WORDS),
    binary(to, "multiply", count, constants(STRIDE_WORDS)),
  );
  const masked = to.convert(binary(to, "xor", bits, to.broadcast(secrets, bits.shape)), "uint64");
  const [even, odd] = halves(to, to.reshape(masked, [blocks, stripes, 2, 2, 4]), 3);
  const [low, high] = halves(
    to,
    to.reshape(to.convert(bits, "uint64"), [blocks, stripes, 2, 2, 2, 2]),
    5,
  );
  const products = to.reshape(binary(to, "multiply", even, odd), [blocks, stripes, 4, 2]);
  const plain = to.reshape(joinWords(to, low, high), [blocks, stripes, 4, 2]);
  return to.reduce("stablehlo.add", binary(to, "add", products, plain), { axes: [1], initial: 0 });
}

/** h ^= h >> 32; h *= multiplier; h ^= the other lane's h >> 29, for lanes along the last axis of (F, 2). */
function scramble(to: StablehloText, h: Operand): Operand {
  const mixed = binary(to, "xor", h, shift(to, "shift_right_logical", h, 32n));
  const multiplied = binary(to, "multiply", mixed, splat(to, h.shape, BigInt(MULTIPLIER)));
  const swapped = to.emit("stablehlo.reverse", [multiplied], {
    type: h,
    attributes: { dimensions: "array<i64: 1>" },
  });
  return binary(to, "xor", multiplied, shift(to, "shift_right_logical", swapped, 29n));
}

/** 64-bit lanes (F, 2) as 32-bit ones (F, 4), the low word first. */
function lanes(to: StablehloText, h: Operand): Operand {
  const [blocks] = h.shape;
  const words = [h, shift(to, "shift_right_logical", h, 32n)].map((word) =>
    to.reshape(to.convert(word, "uint32"), [blocks, 2, 1])
  );
  return to.reshape(to.concat(words, 2), [blocks, 4]);
}

const joinWords = (to: StablehloText, low: Operand, high: Operand) =>
  binary(to, "or", low, shift(to, "shift_left", high, 32n));

/** The two halves of an axis of size 2, without that axis. */
function halves(to: StablehloText, x: Operand, axis: number): Operand[] {
  const size = x.shape.with(axis, 1);
  return [0, 1].map((i) =>
    to.reshape(
      to.slice(x, { begin: x.shape.map((_, a) => a === axis ? i : 0), size }),
      size.toSpliced(axis, 1),
    )
  );
}

type Binary = "add" | "multiply" | "xor" | "or" | "shift_left" | "shift_right_logical";

const binary = (to: StablehloText, op: Binary, a: Operand, b: Operand) =>
  to.emit(`stablehlo.${op}`, [a, b], { type: a });

const splat = (to: StablehloText, shape: readonly number[], value: bigint) =>
  to.splat({ dtype: "uint64", shape }, value);

const shift = (to: StablehloText, op: "shift_left" | "shift_right_logical", x: Operand, bits: bigint) =>
  binary(to, op, x, splat(to, x.shape, bits));
