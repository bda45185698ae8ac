import { Poller } from "../../shared/zmq/poller.ts";
import { Context, type Socket } from "../../shared/zmq/socket.ts";
import type { Link, LinkInterest, Links } from "./link.ts";

/** Frames that wait for one peer on each side. */
const QUEUED_FRAMES = 8;

/** How often a pair that is not connected yet is tried again, in ms: members form at slightly different times. */
const RETRY_MS = 5;

/** Where the members of a generation are reached. */
export interface ZmqLinksOptions {
  rank: number;
  generation: number;
  /** By rank: an `ipc://` path, to which pairs add a suffix of at most 16 characters. */
  endpoints: readonly string[];
}

/**
 * A pair of ZeroMQ sockets for each pair of members: the lower rank binds, the higher connects. Throws E_ZMQ if a socket
 * cannot be made. Endpoints belong to a generation, so that nothing of an earlier one can arrive.
 */
export function zmqLinks({ rank, generation, endpoints }: ZmqLinksOptions): Links {
  const context = new Context();
  const sockets = new Map<number, Socket>();
  for (let peer = 0; peer < endpoints.length; peer++) {
    if (peer === rank) continue;
    const socket = context.socket("pair", {
      linger: 0,
      sndHwm: QUEUED_FRAMES,
      rcvHwm: QUEUED_FRAMES,
      immediate: true,
      reconnectIvl: RETRY_MS,
    });
    sockets.set(peer, socket);
    const [low, high] = [Math.min(rank, peer), Math.max(rank, peer)];
    const endpoint = `${endpoints[low]}-${generation}-${high}`;
    if (rank === low) socket.bind(endpoint);
    else socket.connect(endpoint);
  }
  return new ZmqLinks(context, sockets);
}

class ZmqLinks implements Links {
  readonly byRank: ReadonlyMap<number, Link>;
  readonly #poller: Poller;

  constructor(private readonly context: Context, private readonly sockets: ReadonlyMap<number, Socket>) {
    this.#poller = new Poller(context);
    this.byRank = new Map([...sockets].map(([peer, socket]) => [peer, linkOver(socket)]));
  }

  wait({ from, to }: LinkInterest): Promise<void> {
    const socketsOf = (ranks: readonly number[]) => ranks.flatMap((peer) => this.sockets.get(peer) ?? []);
    return this.#poller.wait(-1, { readable: socketsOf(from), writable: socketsOf(to) });
  }

  wake(): void {
    this.#poller.wake();
  }

  async close(): Promise<void> {
    await this.#poller.close();
    await this.context.close();
  }
}

function linkOver(socket: Socket): Link {
  return {
    trySend: (header, payload) => socket.trySend([header, payload]),
    tryReceive: (header, place) => socket.tryReceiveInto(header, place),
  };
}
