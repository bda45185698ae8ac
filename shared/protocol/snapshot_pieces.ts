/**
 * Snapshots travel in pieces of so many bytes, the last one shorter: parameters, first and second moments as one row of bytes.
 * A piece holds up the signs of life of its connection, which must come within 3 s: it takes 0.2 s at 10 Mbit/s.
 */
export const PIECE_BYTES = 256 << 10;

/** Pieces that are on their way at a time, at most. */
export const SYNC_WINDOW = 16;

/** How many of `count` pieces to ask for next, half a window at a time; 0 while enough of them are on their way. */
export function piecesToAsk(
  { asked, taken, count }: { asked: number; taken: number; count: number },
): number {
  const room = Math.min(count, taken + SYNC_WINDOW) - asked;
  return room >= SYNC_WINDOW / 2 || asked + room === count ? room : 0;
}
