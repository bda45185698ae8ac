/** A TCP proxy on this machine that can change a byte on its way. */
export class Proxy implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  #flips = 0;

  /** Passes all that comes on to `port`. */
  constructor(private readonly port: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accept();
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Flips a bit in the middle of the next piece of some length that goes to the target. */
  flip(): void {
    this.#flips++;
  }

  /** Whether all flips have happened. */
  get isDone(): boolean {
    return this.#flips === 0;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
  }

  async #accept(): Promise<void> {
    for await (const inward of this.#listener) {
      this.#open.add(inward);
      this.#serve(inward).catch(() => {}).finally(() => close(inward));
    }
  }

  async #serve(inward: Deno.TcpConn): Promise<void> {
    const outward = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    this.#open.add(outward);
    try {
      await Promise.race([
        copy(inward, outward, (bytes) => this.#change(bytes)),
        copy(outward, inward, () => {}),
      ]);
    } finally {
      close(outward);
    }
  }

  #change(bytes: Uint8Array): void {
    if (this.#flips === 0 || bytes.length < SOME_BYTES) return;
    this.#flips--;
    bytes[bytes.length >> 1] ^= 1;
  }
}

const SOME_BYTES = 64;

async function copy(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  change: (bytes: Uint8Array) => void,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    const piece = buffer.subarray(0, count);
    change(piece);
    for (let done = 0; done < count;) done += await to.write(piece.subarray(done));
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
