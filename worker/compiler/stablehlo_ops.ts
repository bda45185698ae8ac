/** What several ops are lowered to: pieces of StableHLO, written with {@link StablehloText}. */
import type { OpAttributes } from "./op.ts";
import { integersText, type Operand, type StablehloText, type StablehloType } from "./stablehlo_text.ts";

/** What matrix products multiply; they always add in float32. */
export type ProductType = "float32" | "bfloat16" | "float16";

/** An op of operands that are made as large as the result. */
export function elementwise(
  to: StablehloText,
  op: string,
  { operands, type }: { operands: readonly Operand[]; type: StablehloType },
): Operand {
  return to.emit(op, operands.map((x) => to.broadcast(x, type.shape)), { type });
}

/** Compares operands of one dtype element by element. */
export function compare(
  to: StablehloText,
  direction: "EQ" | "NE" | "LT" | "LE" | "GT" | "GE",
  { operands, shape }: { operands: readonly Operand[]; shape: readonly number[] },
): Operand {
  return to.emit("stablehlo.compare", operands.map((x) => to.broadcast(x, shape)), {
    type: { dtype: "bool", shape },
    attributes: { comparison_direction: `#stablehlo<comparison_direction ${direction}>` },
  });
}

/** Combines two operands, of which the second is repeated along the axes that it lacks or that have the size 1. */
export function combine(to: StablehloText, op: string, [a, b]: readonly [Operand, Operand]): Operand {
  return to.emit(op, [a, to.broadcast(b, a.shape)], { type: a });
}

/** Combines every element with one number. */
export function combineWith(to: StablehloText, op: string, [x, value]: readonly [Operand, number]): Operand {
  return combine(to, op, [x, to.splat({ dtype: x.dtype, shape: [] }, value)]);
}

/** Multiplies by a number. */
export function scale(to: StablehloText, x: Operand, factor: number): Operand {
  return factor === 1 ? x : combineWith(to, "stablehlo.multiply", [x, factor]);
}

const FOLDS = {
  sum: { op: "stablehlo.add", float32: 0, int32: 0 },
  max: { op: "stablehlo.maximum", float32: -Infinity, int32: -(2 ** 31) },
} as const;

/** Folds axes away, which stay with the size 1 if `keepDims`. */
export function fold(
  to: StablehloText,
  x: Operand,
  { by, axes, keepDims }: { by: keyof typeof FOLDS } & OpAttributes["reduceSum"],
): Operand {
  const { op, float32, int32 } = FOLDS[by];
  const initial = x.dtype === "int32" ? int32 : float32;
  const folded = axes.length === 0 ? x : to.reduce(op, x, { axes, initial });
  return keepDims ? to.reshape(folded, x.shape.map((size, axis) => axes.includes(axis) ? 1 : size)) : folded;
}

/** Folds the last axis, which stays with the size 1. */
export function foldLast(to: StablehloText, x: Operand, by: keyof typeof FOLDS): Operand {
  return fold(to, x, { by, axes: [x.shape.length - 1], keepDims: true });
}

/** 1 where the last axis counts to the index, 0 elsewhere. */
export function oneHot(to: StablehloText, indices: Operand, depth: number): Operand {
  const shape = [...indices.shape, depth];
  const counted = to.iota({ dtype: "int32", shape }, indices.shape.length);
  const wide = to.broadcast(indices, shape, indices.shape.map((_, axis) => axis));
  return to.convert(compare(to, "EQ", { operands: [counted, wide], shape }), "float32");
}

/** alpha · op(a) · op(b) over the last two axes, of the shape that is given. */
export function product(
  to: StablehloText,
  operands: readonly Operand[],
  { type, transposeA, transposeB, alpha, multiply }: OpAttributes["matMul"] & {
    type: StablehloType;
    multiply: ProductType;
  },
): Operand {
  const rank = type.shape.length;
  const leading = type.shape.slice(0, -2);
  const [a, b] = operands.map((x) =>
    to.convert(to.broadcast(x, [...leading, ...x.shape.slice(-2)]), multiply)
  );
  const batch = leading.map((_, axis) => axis).join(", ");
  const numbers = [
    `lhs_batching_dimensions = [${batch}]`,
    `rhs_batching_dimensions = [${batch}]`,
    `lhs_contracting_dimensions = [${transposeA ? rank - 2 : rank - 1}]`,
    `rhs_contracting_dimensions = [${transposeB ? rank - 1 : rank - 2}]`,
  ];
  // HIGHEST: or GPUs round float32 to TensorFloat-32.
  const precision = `#stablehlo<precision ${multiply === "float32" ? "HIGHEST" : "DEFAULT"}>`;
  const made = to.emit("stablehlo.dot_general", [a, b], {
    type,
    attributes: {
      dot_dimension_numbers: `#stablehlo.dot<${numbers.join(", ")}>`,
      precision_config: `[${precision}, ${precision}]`,
    },
  });
  return scale(to, made, alpha);
}

/** Whole slices of `axis` that int32 indices choose. */
export function gather(
  to: StablehloText,
  [x, indices]: readonly Operand[],
  { axis, type }: { axis: number; type: StablehloType },
): Operand {
  const rank = indices.shape.length;
  const whole = type.shape.map((_, a) => a).filter((a) => a < axis || a >= axis + rank);
  return emitGather(to, [x, indices], {
    type,
    numbers: {
      offset_dims: whole,
      collapsed_slice_dims: [axis],
      start_index_map: [axis],
    },
    sizes: x.shape.with(axis, 1),
  });
}

/** One element of the last axis for each index: (N, V), (N, K) → (N, K). */
export function gatherElements(
  to: StablehloText,
  [x, indices]: readonly Operand[],
  { type }: { type: StablehloType },
): Operand {
  const last = x.shape.length - 1;
  const leading = x.shape.slice(0, -1).map((_, axis) => axis);
  return emitGather(to, [x, indices], {
    type,
    numbers: {
      collapsed_slice_dims: [last],
      operand_batching_dims: leading,
      start_indices_batching_dims: leading,
      start_index_map: [last],
    },
    sizes: x.shape.map(() => 1),
  });
}

function emitGather(
  to: StablehloText,
  [x, indices]: readonly Operand[],
  { type, numbers, sizes }: {
    type: StablehloType;
    numbers: Readonly<Record<string, readonly number[]>>;
    sizes: readonly number[];
  },
): Operand {
  const lists = Object.entries(numbers).map(([name, list]) => `${name} = [${list.join(", ")}]`);
  const all = [...lists, `index_vector_dim = ${indices.shape.length}`].join(", ");
  return to.emit("stablehlo.gather", [x, indices], {
    type,
    attributes: { dimension_numbers: `#stablehlo.gather<${all}>`, slice_sizes: integersText(sizes) },
  });
}
