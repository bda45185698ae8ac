import type { WorkerChannel } from "../shared/protocol/channel.ts";
import { decodeToWorker, encodeMessage, MAX_MESSAGE_BYTES } from "../shared/protocol/codec.ts";
import { Inbox } from "../shared/protocol/inbox.ts";
import type { FromWorker, ToWorker } from "../shared/protocol/messages.ts";
import { Context, type Frame, type Socket } from "../shared/zmq/socket.ts";
import { SocketLoop } from "../shared/zmq/socket_loop.ts";

const WAITING = 64; // received messages before the coordinator is held back
const QUEUED = 16; // messages that libzmq queues in each direction
const LINGER_MS = 500;
const COORDINATOR = "coordinator";

/**
 * Connects to the coordinator's `endpoint` under the name `id`, which must be this worker's alone. Also
 * succeeds, and waits, while nobody listens there. Rejects with `LockstepError` E_ZMQ if libzmq cannot be
 * loaded or the endpoint is malformed.
 */
export async function openControlClient(endpoint: string, { id }: { id: string }): Promise<WorkerChannel> {
  const context = new Context();
  try {
    const socket = context.socket("dealer", {
      routingId: id,
      linger: LINGER_MS,
      sndHwm: QUEUED,
      rcvHwm: QUEUED,
      maxMsgSize: MAX_MESSAGE_BYTES,
    });
    socket.connect(endpoint);
    return new DealerClient(context, socket);
  } catch (error) {
    await context.close();
    throw error;
  }
}

class DealerClient implements WorkerChannel {
  readonly #inbox = new Inbox<ToWorker>();
  readonly #loop: SocketLoop;

  constructor(context: Context, socket: Socket) {
    this.#loop = new SocketLoop({ context, socket }, {
      deliver: (frames) => this.#deliver(frames),
      hasRoom: () => this.#inbox.size < WAITING,
      fail: (error) => this.#inbox.fail(error),
    });
  }

  send(message: FromWorker): Promise<void> {
    return this.#loop.send(COORDINATOR, [encodeMessage(message)]);
  }

  receive(): Promise<ToWorker | null> {
    if (this.#inbox.size === WAITING) this.#loop.wake();
    return this.#inbox.receive();
  }

  close(): Promise<void> {
    this.#inbox.close();
    return this.#loop.close();
  }

  #deliver(frames: Frame[]): void {
    try {
      this.#inbox.push(decodeToWorker(frames[0]));
    } catch (error) {
      this.#inbox.fail(error);
    }
  }
}
