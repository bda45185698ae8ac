import { controlSocketOptions, WAITING_MESSAGES } from "../../shared/protocol/control_socket.ts";
import { Context, type Frame, type Socket } from "../../shared/zmq/socket.ts";
import { SocketLoop } from "../../shared/zmq/socket_loop.ts";

/** Where consoles of this machine connect to. */
export interface SteeringServer {
  /** Sends the answers that are under way, ends all connections, frees everything. */
  close(): Promise<void>;
}

export interface SteeringServerOptions {
  /** `ipc://PATH`, in a folder that only this user can reach. */
  readonly endpoint: string;
  /** Answers one frame with another. Must not reject. */
  handle(frame: Frame): Promise<Frame>;
}

/** Listens for consoles. Rejects with E_ZMQ. */
export async function openSteeringServer(options: SteeringServerOptions): Promise<SteeringServer> {
  const context = new Context();
  try {
    const socket = context.socket("router", {
      ...controlSocketOptions(options.endpoint),
      routerMandatory: true,
    });
    socket.bind(options.endpoint);
    return new Server({ context, socket }, options);
  } catch (error) {
    await context.close();
    throw error;
  }
}

class Server implements SteeringServer {
  readonly #loop: SocketLoop;
  readonly #running = new Set<Promise<void>>();

  constructor(parts: { context: Context; socket: Socket }, private readonly options: SteeringServerOptions) {
    this.#loop = new SocketLoop(parts, {
      deliver: ([console, ...frames]) => this.#deliver(console, frames),
      hasRoom: () => this.#running.size < WAITING_MESSAGES,
      fail: () => {}, // the run goes on without consoles
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#running);
    await this.#loop.close();
  }

  #deliver(console: Frame, frames: readonly Frame[]): void {
    if (frames.length !== 1) return; // nothing that a console sends
    const answering = this.#answer(console, frames[0]).finally(() => {
      this.#running.delete(answering);
      if (this.#running.size === WAITING_MESSAGES - 1) this.#loop.wake();
    });
    this.#running.add(answering);
  }

  async #answer(console: Frame, frame: Frame): Promise<void> {
    const answer = await this.options.handle(frame);
    await this.#loop.send(console.toHex(), [console, answer]);
  }
}
