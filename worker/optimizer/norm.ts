import type { Region } from "../arena.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { ATOM, gradientNorm } from "./clip.ts";

/** The norm of a flat gradient: the float64 square sums of its atoms, added in index order. */
export function regionNorm(kernels: Kernels, { byteOffset, length }: Region): number {
  const squares = Float64Array.from(
    { length: Math.ceil(length / ATOM) },
    (_, atom) => kernels.squares(byteOffset + 4 * atom * ATOM, Math.min(ATOM, length - atom * ATOM)),
  );
  return gradientNorm(squares);
}
