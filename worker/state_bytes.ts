import type { SharedArena } from "./arena.ts";
import { Arena } from "./arena.ts";
import type { StateRegion } from "./replica.ts";

/** What a snapshot of the state consists of, in this order. */
const SNAPSHOT = ["parameters", "m", "v"] as const satisfies StateRegion[];

/** Pieces of a snapshot and of a checkpoint's files are at most this long, in bytes. */
export const PIECE_BYTES = 4 << 20;

/** The files of a checkpoint and the regions that they hold one after the other. */
const FILES = [
  { file: "model.safetensors", regions: ["parameters"] },
  { file: "optimizer.safetensors", regions: ["m", "v"] },
] as const satisfies { file: string; regions: StateRegion[] }[];

/** A piece of a checkpoint's file: `bytes` is a view of the state. */
export interface FilePiece {
  readonly file: string;
  /** From the start of the tensors' bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The numbers of a member's state as bytes, in place: what checkpoints and joiners read. */
export class StateBytes {
  readonly #state: Arena<StateRegion>;

  constructor(state: SharedArena<StateRegion>) {
    this.#state = Arena.adopt(state);
  }

  /** The pieces of a checkpoint's files, in order. */
  *filePieces(): Generator<FilePiece> {
    for (const { file, regions } of FILES) {
      let offset = 0;
      for (const region of regions) {
        const bytes = this.#bytes(region);
        for (let begin = 0; begin < bytes.length; begin += PIECE_BYTES) {
          const piece = bytes.subarray(begin, begin + PIECE_BYTES);
          yield { file, offset, bytes: piece };
          offset += piece.length;
        }
      }
    }
  }

  /** Writes a piece of a snapshot: parameters, first and second moments one after the other. */
  write(offset: number, piece: Uint8Array): void {
    let begin = offset;
    let rest = piece;
    for (const region of SNAPSHOT) {
      const bytes = this.#bytes(region);
      if (begin < bytes.length) {
        const part = rest.subarray(0, bytes.length - begin);
        bytes.set(part, begin);
        rest = rest.subarray(part.length);
        begin = 0;
      } else begin -= bytes.length;
      if (rest.length === 0) return;
    }
    throw new RangeError(
      `Cannot write ${piece.length} bytes at ${offset} of the state: they lie beyond its end`,
    );
  }

  #bytes(region: StateRegion): Uint8Array<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = this.#state.region(region).view;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
}
