import { LockstepError } from "../../shared/errors.ts";
import type { MemberKeys } from "../../shared/keys.ts";
import { controlSocketOptions } from "../../shared/protocol/control_socket.ts";
import { farewellFrame } from "../../shared/protocol/farewell.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";
import { curveClient } from "../../shared/zmq/curve.ts";
import { Monitor } from "../../shared/zmq/monitor.ts";
import { Context, type Frame, type Socket } from "../../shared/zmq/socket.ts";
import { SocketLoop } from "../../shared/zmq/socket_loop.ts";
import { decodeMeasured, encodeMeasuring, makePiece, MEASURE_BYTES } from "./measure_messages.ts";

/** What was measured with whoever listens at an endpoint. */
export interface Measurement {
  /** Of a small message there and back, the shortest of several, in ms. */
  readonly roundTripMs: number;
  /** The other side's clock against this one's, in ms: above 0 if it is ahead. Null where a run listens. */
  readonly skewMs: number | null;
  /** To the other side, in bytes a second; null where a run listens, which is not to be disturbed. */
  readonly up: number | null;
  /** From it. */
  readonly down: number | null;
}

export interface MeasureOptions {
  /** A worker's or an admin's; undefined connects without. */
  readonly keys: MemberKeys | undefined;
  /** How long to wait for an answer, in ms. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 3_000;
const ROUNDS = 20;
const BANDWIDTH_MS = 500; // each way
const WINDOW = 8; // pieces under way

/**
 * Connects as a member of a run would, and measures. A run answers the frame by which a member takes its leave, and learns
 * nothing of whoever sent it; a doctor (`openMeasureServer`) answers with its clock, and gives and takes bytes. Rejects with
 * E_LINK where nobody answers, E_KEY where the key is not admitted, E_ZMQ.
 */
export async function measure(endpoint: string, options: MeasureOptions): Promise<Measurement> {
  const peer = await openPeer(endpoint, options);
  try {
    const isDoctor = (await peer.ask([farewellFrame()])).length > 1;
    if (!isDoctor) return { roundTripMs: await shortestFarewell(peer), skewMs: null, up: null, down: null };
    const { roundTripMs, skewMs } = await compareClocks(peer);
    const up = await bandwidth(peer, { give: MEASURE_BYTES, take: 0 });
    const down = await bandwidth(peer, { give: 0, take: MEASURE_BYTES });
    return { roundTripMs, skewMs, up, down };
  } finally {
    await peer.close();
  }
}

async function shortestFarewell(peer: Peer): Promise<number> {
  let shortest = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    await peer.ask([farewellFrame()]);
    shortest = Math.min(shortest, performance.now() - began);
  }
  return shortest;
}

/** The answer of the shortest round trip was given half of it after the question, about. */
async function compareClocks(peer: Peer): Promise<{ roundTripMs: number; skewMs: number }> {
  let best = { roundTripMs: Infinity, skewMs: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now(), here = Date.now();
    const [header] = await peer.ask([encodeMeasuring({ type: "MEASURE", take: 0 }), EMPTY]);
    const roundTripMs = performance.now() - began;
    const { clock } = decodeMeasured(header);
    if (roundTripMs < best.roundTripMs) best = { roundTripMs, skewMs: clock - here - roundTripMs / 2 };
  }
  return best;
}

const EMPTY: Frame = new Uint8Array(0);

/** Bytes a second of pieces that go one way, several under way at a time. */
async function bandwidth(peer: Peer, { give, take }: { give: number; take: number }): Promise<number> {
  const question = [encodeMeasuring({ type: "MEASURE", take }), makePiece().subarray(0, give)];
  const began = performance.now();
  let pieces = 0;
  const send = async () => {
    do {
      await peer.ask(question);
      pieces++;
    } while (performance.now() - began < BANDWIDTH_MS);
  };
  await Promise.all(Array.from({ length: WINDOW }, send));
  return pieces * (give + take) / ((performance.now() - began) / 1000);
}

async function openPeer(endpoint: string, { keys, patienceMs = PATIENCE_MS }: MeasureOptions): Promise<Peer> {
  const context = new Context();
  try {
    const socket = context.socket("dealer", {
      ...controlSocketOptions(endpoint),
      linger: 0,
      routingId: makeRoutingId(`doctor-${crypto.randomUUID()}`),
      ...(keys === undefined ? {} : curveClient(keys, keys.coordinator)),
    });
    const monitor = new Monitor(context, {
      watched: socket,
      kinds: ["ready", "connected", "closed", "refused", "handshakeInvalid", "handshakeFailed"],
    });
    socket.connect(endpoint);
    return new Peer(endpoint, { context, socket, monitor, patienceMs, hasKeys: keys !== undefined });
  } catch (error) {
    await context.close();
    throw error;
  }
}

interface PeerParts {
  readonly context: Context;
  readonly socket: Socket;
  readonly monitor: Monitor;
  readonly patienceMs: number;
  readonly hasKeys: boolean;
}

/** The other side. Answers come in the order of the questions. */
class Peer {
  readonly #loop: SocketLoop;
  readonly #monitor: Monitor;
  readonly #patienceMs: number;
  readonly #hasKeys: boolean;
  readonly #waiting: PromiseWithResolvers<Frame[]>[] = [];
  /** What has happened to the connection so far, to explain that no answer comes. */
  readonly #seen = new Set<string>();

  constructor(
    private readonly endpoint: string,
    { context, socket, monitor, patienceMs, hasKeys }: PeerParts,
  ) {
    this.#monitor = monitor;
    this.#patienceMs = patienceMs;
    this.#hasKeys = hasKeys;
    this.#loop = new SocketLoop({ context, socket }, {
      sides: [{ socket: monitor.socket, attend: () => this.#watch() }],
      deliver: (frames) => this.#waiting.shift()?.resolve(frames),
      hasRoom: () => true,
      fail: (error) => this.#waiting.splice(0).forEach(({ reject }) => reject(error)),
      singlePeer: true,
    });
  }

  /** Resolves to the answer's frames. */
  async ask(frames: readonly Frame[]): Promise<Frame[]> {
    const answer = Promise.withResolvers<Frame[]>();
    this.#waiting.push(answer);
    this.#loop.send("peer", frames);
    const timer = setTimeout(() => answer.reject(this.#explain()), this.#patienceMs);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): Promise<void> {
    return this.#loop.close();
  }

  #watch(): void {
    for (let event = this.#monitor.tryReceive(); event !== null; event = this.#monitor.tryReceive()) {
      this.#seen.add(event.kind);
      const isFinal = event.kind === "refused" || event.kind === "handshakeInvalid";
      if (isFinal) this.#waiting.splice(0).forEach(({ reject }) => reject(this.#explain()));
    }
  }

  #explain(): LockstepError {
    const cannot = `Cannot speak to ${this.endpoint}`;
    const seconds = `${this.#patienceMs / 1000} s`;
    if (this.#seen.has("ready")) {
      return new LockstepError(
        "E_LINK",
        `${cannot} as it takes the connection and does not answer within ${seconds}`,
      );
    }
    if (this.#seen.has("refused")) {
      return new LockstepError(
        "E_KEY",
        `${cannot} as it does not admit this key: give the run's own with --keys`,
      );
    }
    if (
      this.#seen.has("handshakeInvalid") || this.#seen.has("handshakeFailed") || this.#seen.has("connected")
    ) {
      const reason = this.#hasKeys
        ? "it has other keys, or is no run of this program: give the run's own with --keys"
        : "it speaks with keys only, or is no run of this program: give the run's own with --keys";
      return new LockstepError("E_KEY", `${cannot} as ${reason}`);
    }
    const reason = this.#seen.has("closed") ? "nothing listens there" : `no answer came within ${seconds}`;
    return new LockstepError("E_LINK", `${cannot} as ${reason}`);
  }
}
