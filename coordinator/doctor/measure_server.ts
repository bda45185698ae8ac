import { LockstepError } from "../../shared/errors.ts";
import type { CoordinatorKeys } from "../../shared/keys.ts";
import { controlSocketOptions, WAITING_MESSAGES } from "../../shared/protocol/control_socket.ts";
import { farewellFrame, isFarewell } from "../../shared/protocol/farewell.ts";
import { curveServer } from "../../shared/zmq/curve.ts";
import { proveRefusal } from "../../shared/zmq/prove_refusal.ts";
import { Context, type Frame, type Socket } from "../../shared/zmq/socket.ts";
import { SocketLoop } from "../../shared/zmq/socket_loop.ts";
import { ZapHandler } from "../../shared/zmq/zap.ts";
import { decodeMeasure, encodeMeasuring, makePiece } from "./measure_messages.ts";

/** Answers the doctors of other nodes. */
export interface MeasureServer {
  /** Where it listens, with the port that was chosen. */
  readonly endpoint: string;
  close(): Promise<void>;
}

export interface MeasureServerOptions {
  /** `tcp://ADDRESS:PORT`, `*` for every address and for a free port. */
  readonly endpoint: string;
  /** The coordinator's keys and those that it admits; undefined listens without. */
  readonly keys: CoordinatorKeys | undefined;
  /** This machine's clock, in ms since 1970. */
  readonly clock?: () => number;
}

const DOMAIN = "doctor"; // of the questions to the ZAP handler

/**
 * Listens as a run's coordinator would: on the same kind of socket, with the same keys. Rejects with E_ZMQ where it cannot
 * listen, and E_KEY where strangers are not refused.
 */
export async function openMeasureServer(options: MeasureServerOptions): Promise<MeasureServer> {
  const { keys } = options;
  const context = new Context();
  let server: Server;
  try {
    const admitted = new Set(keys === undefined ? [null] : [...keys.workers, ...keys.admins]);
    const zap = new ZapHandler(context, ({ publicKey }) => admitted.has(publicKey) ? "peer" : null);
    const socket = context.socket("router", {
      ...controlSocketOptions(options.endpoint),
      routerMandatory: true,
      ...(keys === undefined ? {} : curveServer(keys, { domain: DOMAIN })),
    });
    server = new Server(socket.bind(options.endpoint), {
      context,
      socket,
      zap,
      clock: options.clock ?? Date.now,
    });
  } catch (error) {
    await context.close();
    throw error;
  }
  try {
    if (keys !== undefined) await proveRefusal(server.endpoint, { serverKey: keys.publicKey });
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

interface ServerParts {
  readonly context: Context;
  readonly socket: Socket;
  readonly zap: ZapHandler;
  readonly clock: () => number;
}

class Server implements MeasureServer {
  readonly #loop: SocketLoop;
  readonly #clock: () => number;
  readonly #piece = makePiece();
  #unsent = 0;

  constructor(readonly endpoint: string, { context, socket, zap, clock }: ServerParts) {
    this.#clock = clock;
    this.#loop = new SocketLoop({ context, socket }, {
      sides: [{ socket: zap.socket, attend: () => zap.answer() }],
      deliver: ([peer, ...frames]) => this.#answer(peer, frames),
      hasRoom: () => this.#unsent < WAITING_MESSAGES,
      fail: () => {}, // whoever asks sees that nobody answers
    });
  }

  close(): Promise<void> {
    return this.#loop.close();
  }

  #answer(peer: Frame, [frame]: readonly Frame[]): void {
    const frames = frame === undefined ? null : this.#framesFor(frame);
    if (frames === null) return;
    this.#unsent++;
    this.#loop.send(peer.toHex(), [peer, ...frames]).then(() => {
      this.#unsent--;
      this.#loop.wake();
    });
  }

  /** Null for what is no question. */
  #framesFor(frame: Frame): Frame[] | null {
    const measured = () => encodeMeasuring({ type: "MEASURED", clock: this.#clock() });
    if (isFarewell(frame)) return [farewellFrame(), measured()];
    try {
      const { take } = decodeMeasure(frame);
      return [measured(), this.#piece.subarray(0, take)];
    } catch (error) {
      if (error instanceof LockstepError) return null;
      throw error;
    }
  }
}
