/** Appends all of `bytes` to a file of `size` bytes; where that fails, takes back what was written of them, and throws. */
export function appendWhole(file: Deno.FsFile, bytes: Uint8Array, { size }: { size: number }): void {
  try {
    for (let done = 0; done < bytes.byteLength;) done += file.writeSync(bytes.subarray(done));
  } catch (error) {
    file.truncateSync(size);
    throw error;
  }
}
