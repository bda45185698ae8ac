import { hostname, userInfo } from "node:os";
import { LockstepError } from "../../shared/errors.ts";
import type { MemberKeys } from "../../shared/keys.ts";
import { controlSocketOptions } from "../../shared/protocol/control_socket.ts";
import { makeRoutingId } from "../../shared/protocol/routing_id.ts";
import { decodeStatus, encodeSteering, type Status } from "../../shared/protocol/steering_messages.ts";
import { curveClient } from "../../shared/zmq/curve.ts";
import { Monitor } from "../../shared/zmq/monitor.ts";
import { Context, type Frame, type Socket } from "../../shared/zmq/socket.ts";
import { SocketLoop } from "../../shared/zmq/socket_loop.ts";

/** A person's connection to a run. */
export interface SteeringClient {
  /**
   * Resolves to the answer of a command that was done. Rejects with the run's `LockstepError` if it was refused, and with
   * E_INTERRUPTED if `signal` ends the waiting or the connection ends.
   */
  ask(name: string, options?: AskOptions): Promise<Status>;
  /** Resolves, with the reason, once the connection has ended. */
  readonly over: Promise<LockstepError>;
  close(): Promise<void>;
}

export interface AskOptions {
  readonly words?: readonly string[];
  /** As in COMMAND. */
  readonly again?: boolean;
  /** Who asks; default: this user of this machine. */
  readonly by?: string;
  readonly signal?: AbortSignal;
}

const RUN = "run";

/** Connects to a run's `ipc://PATH`, or with an admin's keys to its `tcp://HOST:PORT`. Rejects with E_ZMQ. */
export async function openSteeringClient(
  endpoint: string,
  { keys }: { keys?: MemberKeys } = {},
): Promise<SteeringClient> {
  const context = new Context();
  try {
    const socket = context.socket("dealer", {
      ...controlSocketOptions(endpoint),
      routingId: makeRoutingId(`admin-${crypto.randomUUID()}`),
      ...(keys === undefined ? {} : curveClient(keys, keys.coordinator)),
    });
    const monitor = new Monitor(context, {
      watched: socket,
      kinds: ["ready", "disconnected", "refused", "handshakeInvalid"],
    });
    socket.connect(endpoint);
    return new Client({ context, socket, monitor });
  } catch (error) {
    await context.close();
    throw error;
  }
}

class Client implements SteeringClient {
  readonly #loop: SocketLoop;
  readonly #monitor: Monitor;
  readonly #over = Promise.withResolvers<LockstepError>();
  readonly #waiting = new Map<number, PromiseWithResolvers<Status>>();
  #asked = 0;
  #isConnected = false;
  /** Why the connection has ended: told once all that came before it is delivered. */
  #end: LockstepError | null = null;

  constructor({ context, socket, monitor }: { context: Context; socket: Socket; monitor: Monitor }) {
    this.#monitor = monitor;
    this.#loop = new SocketLoop({ context, socket }, {
      sides: [{ socket: monitor.socket, attend: () => this.#watch() }],
      deliver: ([frame]) => this.#deliver(frame),
      drained: () => this.#end === null ? undefined : this.#finish(this.#end),
      hasRoom: () => true,
      fail: (error) => this.#finish(asLockstepError(error)),
      singlePeer: true,
    });
  }

  get over(): Promise<LockstepError> {
    return this.#over.promise;
  }

  async ask(
    name: string,
    { words = [], again = false, by = whoIsHere(), signal }: AskOptions = {},
  ): Promise<Status> {
    if (this.#end !== null) throw this.#end;
    const request = ++this.#asked;
    const answer = Promise.withResolvers<Status>();
    const giveUp = () =>
      answer.reject(new LockstepError("E_INTERRUPTED", `Stopped waiting for the answer to ${name}`));
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp);
    this.#waiting.set(request, answer);
    try {
      const command = { request, name, words: [...words], by, again };
      this.#loop.send(RUN, [encodeSteering({ type: "COMMAND", ...command })]);
      return await answer.promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
      this.#waiting.delete(request);
    }
  }

  close(): Promise<void> {
    return this.#loop.close();
  }

  /** Takes in what has happened to the connection. */
  #watch(): void {
    for (let event = this.#monitor.tryReceive(); event !== null; event = this.#monitor.tryReceive()) {
      if (event.kind === "ready") this.#isConnected = true;
      else if (event.kind !== "disconnected") this.#end ??= REFUSED;
      else if (this.#isConnected) this.#end ??= GONE;
    }
  }

  #deliver(frame: Frame): void {
    try {
      const status = decodeStatus(frame);
      const { request, error } = status;
      const refusal = error === null ? null : new LockstepError(error.code, error.message);
      if (request === 0) return refusal === null ? undefined : this.#finish(refusal);
      if (refusal === null) this.#waiting.get(request)?.resolve(status);
      else this.#waiting.get(request)?.reject(refusal);
    } catch (error) {
      this.#finish(asLockstepError(error));
    }
  }

  #finish(error: LockstepError): void {
    this.#end = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#over.resolve(error);
  }
}

const GONE = new LockstepError("E_INTERRUPTED", "The run is over, or the process that leads it is gone");
const REFUSED = new LockstepError(
  "E_KEY",
  "Cannot attach as the run does not admit this key: give the run's own with --keys",
);

function asLockstepError(error: unknown): LockstepError {
  if (error instanceof LockstepError) return error;
  return new LockstepError("E_ZMQ", "Cannot go on with the connection to the run", { cause: error });
}

/** USER@HOST; the number of a user that has no name here. */
export function whoIsHere(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(Deno.uid());
  }
}
