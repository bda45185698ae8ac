/** Elements whose squares are summed together: the unit in which the gradient's norm is added up. */
export const ATOM = 4096;

/** The norm of a gradient from the square sums of its atoms, added in index order in float64. */
export function gradientNorm(atomSquares: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < atomSquares.length; i++) sum += atomSquares[i];
  return Math.sqrt(sum);
}

/** What the gradient is multiplied with so that its norm is at most `gradClip`, as PyTorch does; 0 is no limit. */
export function clipScale(norm: number, gradClip: number): number {
  if (gradClip === 0) return 1;
  return Math.fround(Math.min(1, gradClip / (norm + 1e-6)));
}
