/** A state that members start from. */
export interface Snapshot {
  readonly step: number;
  readonly stateHash: string;
  readonly bestValLoss: number | null;
  /** A piece of parameters and both moments, one after the other: see PIECE_BYTES. */
  piece(index: number): Uint8Array<ArrayBuffer>;
}
