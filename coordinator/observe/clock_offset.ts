/**
 * What a member said at one moment of its clock came after `after` and before `before`, moments of this clock: what must be
 * added to its clock is then in this range, in ms.
 */
export interface OffsetRange {
  readonly least: number;
  readonly most: number;
}

/**
 * What to add to a member's clock, in ms: nothing where all that is known agrees with that, as on one machine, and
 * otherwise the middle of what is possible, which is wrong by at most half a round trip.
 */
export function clockOffset(ranges: readonly OffsetRange[]): number {
  const least = Math.max(...ranges.map((range) => range.least));
  const most = Math.min(...ranges.map((range) => range.most));
  return least <= 0 && most >= 0 ? 0 : (least + most) / 2;
}
