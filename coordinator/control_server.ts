import { type ErrorCode, LockstepError } from "../shared/errors.ts";
import type { CoordinatorServer, Received } from "../shared/protocol/channel.ts";
import { decodeFromWorker, encodeMessage, MAX_MESSAGE_BYTES } from "../shared/protocol/codec.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import type { FromWorker, ToWorker } from "../shared/protocol/messages.ts";
import { createIpcDirectory, type IpcDirectory } from "../shared/zmq/ipc_directory.ts";
import { Context, type Frame, type Socket } from "../shared/zmq/socket.ts";
import { SocketLoop } from "../shared/zmq/socket_loop.ts";

/** A `CoordinatorServer` on a socket. */
export interface ControlServer extends CoordinatorServer {
  /** How many messages were refused, by the code that their senders were told. */
  readonly refused: ReadonlyMap<ErrorCode, number>;
}

const WAITING = 64; // received messages before the workers are held back
const QUEUED = 16; // messages that libzmq queues for each worker, in each direction
const LINGER_MS = 500;
const WORKER_ID = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * Listens for workers: on `endpoint` (`tcp://ADDRESS:PORT`, `*` for a free port), or without one on an `ipc`
 * socket that only this user can reach. A message that cannot be read is refused with an ERROR to its sender
 * and goes no further. Rejects with `LockstepError` E_ZMQ if libzmq cannot be loaded or the endpoint cannot
 * be bound.
 */
export async function openControlServer({ endpoint }: { endpoint?: string } = {}): Promise<ControlServer> {
  const context = new Context();
  const directory = endpoint === undefined ? createIpcDirectory() : null;
  try {
    const socket = context.socket("router", {
      linger: LINGER_MS,
      sndHwm: QUEUED,
      rcvHwm: QUEUED,
      maxMsgSize: MAX_MESSAGE_BYTES,
      routerMandatory: true,
    });
    const bound = socket.bind(endpoint ?? directory?.endpoint("control") ?? "");
    return new RouterServer(bound, { context, socket, directory });
  } catch (error) {
    await context.close();
    directory?.remove();
    throw error;
  }
}

class RouterServer implements ControlServer {
  readonly refused = new Map<ErrorCode, number>();
  readonly #inbox = new Inbox<Received>();
  readonly #loop: SocketLoop;
  readonly #directory: IpcDirectory | null;
  #closed: Promise<void> | null = null;
  /** Workers that have an ERROR on its way: one that does not read gets no more of them. */
  readonly #beingRefused = new Set<string>();

  constructor(
    readonly endpoint: string,
    { context, socket, directory }: { context: Context; socket: Socket; directory: IpcDirectory | null },
  ) {
    this.#directory = directory;
    this.#loop = new SocketLoop({ context, socket }, {
      deliver: (frames) => this.#deliver(frames),
      hasRoom: () => this.#inbox.size < WAITING,
      fail: (error) => this.#inbox.fail(error),
    });
  }

  send(to: string, message: ToWorker): Promise<void> {
    return this.#loop.send(to, [new TextEncoder().encode(to), encodeMessage(message)]);
  }

  receive(): Promise<Received | null> {
    if (this.#inbox.size === WAITING) this.#loop.wake();
    return this.#inbox.receive();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#inbox.close();
    await this.#loop.close();
    this.#directory?.remove();
  }

  #deliver([identity, ...frames]: Frame[]): void {
    const from = new TextDecoder().decode(identity);
    try {
      this.#inbox.push({ from, message: decode(from, frames) });
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      this.#refuse(from, error);
    }
  }

  async #refuse(from: string, { code, message }: LockstepError): Promise<void> {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    if (!WORKER_ID.test(from) || this.#beingRefused.has(from)) return;
    this.#beingRefused.add(from);
    await this.send(from, { type: "ERROR", code, message });
    this.#beingRefused.delete(from);
  }
}

function decode(from: string, frames: Frame[]): FromWorker {
  if (WORKER_ID.test(from) && frames.length === 1) return decodeFromWorker(frames[0]);
  throw new LockstepError(
    "E_DECODE",
    `Cannot take a control message of ${frames.length} frames from "${
      from.slice(0, 40)
    }" as it must have one frame ` +
      `and come from a worker with an id`,
  );
}
