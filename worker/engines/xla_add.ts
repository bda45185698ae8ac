import { combine, combineWith, compare, scale } from "../compiler/stablehlo_ops.ts";
import { type ElementType, type Operand, StablehloText } from "../compiler/stablehlo_text.ts";

const SIGN = 0x8000_0000;
const MAGNITUDE = 0x7fff_ffff;
/** The bits of the smallest normal number, 2^-126. */
const SMALLEST_NORMAL = 0x0080_0000;
/** 2^-60: from here on, a number too small to be normal changes no bit of a sum, and no sum of two is one but 0. */
const LARGE = 2 ** -60;
/** What brings small numbers to where sums of them are normal: 1 of the smallest, 2^-149, is 2^-85 there. */
const UP = 2 ** 64;

/**
 * A program (a, b float32 (n)) → a + b, in the memory of a: the bits of the kernel `add` on any device. XLA takes numbers
 * that are too small to be normal for 0 on a CPU, so that those are added 2^64 times as large, and their bits made from
 * whole numbers.
 */
export function addProgram(n: number): string {
  const to = new StablehloText();
  const flat = { dtype: "float32", shape: [n] } as const;
  const [a, b] = [to.input(flat, { replacedBy: 0 }), to.input(flat)];
  const sum = combine(to, "stablehlo.add", [a, b]);
  const raised = combine(to, "stablehlo.add", [raise(to, a), raise(to, b)]);
  const isSmall = combine(to, "stablehlo.and", [isBelow(to, a, LARGE), isBelow(to, b, LARGE)]);
  return to.module([select(to, isSmall, [lower(to, raised), sum])]);
}

/** x · 2^64, exactly, for |x| < 2^-60. */
function raise(to: StablehloText, x: Operand): Operand {
  const magnitude = and(to, bits(to, x), MAGNITUDE);
  const normal = scale(to, float(to, magnitude), UP);
  const counted = scale(to, to.convert(magnitude, "float32"), UP * 2 ** -149);
  const isNormal = isAtLeast(to, magnitude, SMALLEST_NORMAL);
  return withSign(to, bits(to, select(to, isNormal, [normal, counted])), x);
}

/** x · 2^-64, exactly, for what {@link raise} gave and sums of it. */
function lower(to: StablehloText, x: Operand): Operand {
  const magnitude = float(to, and(to, bits(to, x), MAGNITUDE));
  const normal = bits(to, scale(to, magnitude, 1 / UP));
  const counted = to.convert(scale(to, magnitude, 2 ** 149 / UP), "uint32");
  const isTiny = isBelow(to, magnitude, UP * 2 ** -126);
  return withSign(to, select(to, isTiny, [counted, normal]), x);
}

type Pair = readonly [Operand, Operand];

const and = (to: StablehloText, x: Operand, mask: number) => combineWith(to, "stablehlo.and", [x, mask]);

const cast = (to: StablehloText, x: Operand, dtype: ElementType) =>
  to.emit("stablehlo.bitcast_convert", [x], { type: { dtype, shape: x.shape } });
const bits = (to: StablehloText, x: Operand) => cast(to, x, "uint32");
const float = (to: StablehloText, x: Operand) => cast(to, x, "float32");

/** The number of these bits, with the sign of another one. */
const withSign = (to: StablehloText, magnitude: Operand, signed: Operand) =>
  float(to, combine(to, "stablehlo.or", [magnitude, and(to, bits(to, signed), SIGN)]));

/** a where the condition holds, otherwise b. */
const select = (to: StablehloText, condition: Operand, [a, b]: Pair) =>
  to.emit("stablehlo.select", [condition, a, b], { type: a });

const isAtLeast = (to: StablehloText, x: Operand, limit: number) =>
  compare(to, "GE", { operands: [x, to.splat(x, limit)], shape: x.shape });

/** |x| < limit */
const isBelow = (to: StablehloText, x: Operand, limit: number) =>
  compare(to, "LT", {
    operands: [float(to, and(to, bits(to, x), MAGNITUDE)), to.splat(x, limit)],
    shape: x.shape,
  });
