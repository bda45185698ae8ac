import type { SharedArena } from "./arena.ts";
import { Arena } from "./arena.ts";
import type { StateRegion } from "./replica.ts";
import { PIECE_BYTES } from "../shared/protocol/snapshot_pieces.ts";

/** What a snapshot of the state consists of, in this order. */
const SNAPSHOT = ["parameters", "m", "v"] as const satisfies StateRegion[];

/** A state as pieces. */
export interface SnapshotBytes {
  readonly pieceCount: number;
  /** A copy of a piece. */
  piece(index: number): Uint8Array<ArrayBuffer>;
  /** Writes a piece that came from another member. */
  write(index: number, piece: Uint8Array): void;
}

/** The numbers of a member's state as pieces of bytes: what checkpoints and joiners read. */
export class StateBytes implements SnapshotBytes {
  readonly #regions: readonly Uint8Array<ArrayBuffer>[];

  constructor(state: SharedArena<StateRegion>) {
    const arena = Arena.adopt(state);
    this.#regions = SNAPSHOT.map((name) => {
      const { buffer, byteOffset, byteLength } = arena.region(name).view;
      return new Uint8Array(buffer, byteOffset, byteLength);
    });
  }

  /** How many pieces a snapshot has. */
  get pieceCount(): number {
    return Math.ceil(this.#regions.reduce((sum, { length }) => sum + length, 0) / PIECE_BYTES);
  }

  /** A copy of a piece, as the state may go on before it has arrived. */
  piece(index: number): Uint8Array<ArrayBuffer> {
    const parts = this.#parts(index * PIECE_BYTES, PIECE_BYTES);
    const piece = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      piece.set(part, at);
      at += part.length;
    }
    return piece;
  }

  /** Writes a piece. */
  write(index: number, piece: Uint8Array): void {
    let at = 0;
    for (const part of this.#parts(index * PIECE_BYTES, piece.length)) {
      part.set(piece.subarray(at, at + part.length));
      at += part.length;
    }
    if (at === piece.length) return;
    throw new RangeError(`Cannot write piece ${index} of the state: it lies beyond the end`);
  }

  /** Views of up to `length` bytes from `begin`. */
  #parts(begin: number, length: number): Uint8Array<ArrayBuffer>[] {
    let start = 0;
    return this.#regions.flatMap((region) => {
      const [from, to] = [Math.max(0, begin - start), Math.min(region.length, begin + length - start)];
      start += region.length;
      return from < to ? [region.subarray(from, to)] : [];
    });
  }
}
