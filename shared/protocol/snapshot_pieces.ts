/** Snapshots travel in pieces of so many bytes, the last one shorter: parameters, first and second moments as one row of bytes. */
export const PIECE_BYTES = 4 << 20;
