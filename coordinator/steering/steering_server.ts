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
  /** Commands that are under way. */
  readonly #running = new Set<Promise<void>>();
  /** By console: how many of its commands have no answer, or one that it has not taken. */
  readonly #open = new Map<string, number>();

  constructor(parts: { context: Context; socket: Socket }, private readonly options: SteeringServerOptions) {
    this.#loop = new SocketLoop(parts, {
      deliver: ([console, ...frames]) => this.#deliver(console, frames),
      // libzmq lets go of a connection that has ended only once all has been read that came over it.
      hasRoom: () => true,
      fail: () => {}, // the run goes on without consoles
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#running);
    await this.#loop.close();
  }

  #deliver(console: Frame, frames: readonly Frame[]): void {
    const name = console.toHex();
    const open = this.#open.get(name) ?? 0;
    if (frames.length !== 1 || open >= WAITING_MESSAGES) return; // nothing that a console sends
    this.#open.set(name, open + 1);
    const answering = this.options.handle(frames[0]).then((answer) => {
      this.#running.delete(answering);
      this.#loop.send(name, [console, answer]).then(() => this.#taken(name));
    });
    this.#running.add(answering);
  }

  #taken(name: string): void {
    const open = (this.#open.get(name) ?? 1) - 1;
    if (open === 0) this.#open.delete(name);
    else this.#open.set(name, open);
  }
}
