// The one byte that no MessagePack starts with.
const FAREWELL = 0xc1;

/**
 * The frame by which a side that is about to close asks whether all that it sent has been received, and by which the other
 * side says so. Without it a close could lose messages: libzmq throws away what it has not read of a connection that was
 * closed while the reader was held back.
 */
export function farewellFrame(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([FAREWELL]);
}

export function isFarewell(frame: Uint8Array): boolean {
  return frame.byteLength === 1 && frame[0] === FAREWELL;
}
