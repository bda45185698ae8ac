const POURED_BYTES = 1 << 30;
const GREETING_BYTES = 64;
/** A ZMTP command with a length of 8 bytes. */
const LONG_COMMAND = 6;

/** Knocks at a ZeroMQ port with a frame of a gigabyte. Resolves to how many of its bytes were taken before the connection ended. */
export async function pourOversized(port: number): Promise<number> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const piece = new Uint8Array(65_536);
  let poured = 0;
  try {
    await writeAll(connection, greeting());
    await writeAll(connection, frameHeader(POURED_BYTES));
    for (; poured < POURED_BYTES; poured += piece.length) await writeAll(connection, piece);
  } catch {
    // It was disconnected.
  } finally {
    connection.close();
  }
  return poured;
}

/** ZMTP 3.1 with CURVE, as a client. */
function greeting(): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
  bytes.set(new TextEncoder().encode("CURVE"), 12);
  return bytes;
}

function frameHeader(length: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = LONG_COMMAND;
  new DataView(bytes.buffer).setBigUint64(1, BigInt(length));
  return bytes;
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}
