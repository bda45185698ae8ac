import { LockstepError } from "../shared/errors.ts";
import type { CoordinatorServer, Received } from "../shared/protocol/channel.ts";
import type { FromWorker, Message, ToWorker } from "../shared/protocol/messages.ts";

/** The members of a run, and the one place where their messages are read. */
export class Members {
  #lost: { readonly error: unknown } | undefined;
  /** Rejects the message that is waited for. */
  #fail: (error: unknown) => void = () => {};

  constructor(
    private readonly server: CoordinatorServer,
    /** By rank. */
    readonly ids: readonly string[],
    /** Rejects when a member's process ends before it should. */
    lost: Promise<never>,
  ) {
    lost.catch((error) => {
      this.#lost = { error };
      this.#fail(error);
    });
  }

  get size(): number {
    return this.ids.length;
  }

  /** The next message of any member. A member's ERROR or LEAVE, and a lost member, are thrown. */
  async next(): Promise<Received> {
    for (;;) {
      const received = await this.#receive();
      if (received === null) {
        throw new LockstepError("E_TOO_FEW", "The control socket closed while the run went on");
      }
      const { from, message } = received;
      if (!this.ids.includes(from)) {
        throw new LockstepError(
          "E_RUN",
          `A member ${from.slice(0, 40)} that this run does not know has sent ${message.type}`,
        );
      }
      if (message.type === "ERROR") throw new LockstepError(message.code, message.message);
      if (message.type === "LEAVE") {
        throw new LockstepError("E_WORKER_DIED", `${from} left: ${message.reason}`);
      }
      if (message.type !== "BEAT" && message.type !== "METRICS") return received;
    }
  }

  /** Not a race against one promise that outlives the run: each would stay registered with it. */
  #receive(): Promise<Received | null> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost.error);
    const { promise, resolve, reject } = Promise.withResolvers<Received | null>();
    this.#fail = reject;
    this.server.receive().then(resolve, reject);
    return promise;
  }

  /** One message of `type` from every member, by rank; `meanwhile` handles what else arrives. */
  async gather<T extends FromWorker["type"]>(
    type: T,
    meanwhile: (received: Received) => Promise<void> | void = refuse,
  ): Promise<Message<FromWorker, T>[]> {
    const answers = new Map<string, Message<FromWorker, T>>();
    while (answers.size < this.size) {
      const received = await this.next();
      if (isOf(received.message, type)) answers.set(received.from, received.message);
      else await meanwhile(received);
    }
    return this.ids.flatMap((id) => answers.get(id) ?? []);
  }

  send(id: string, message: ToWorker): Promise<void> {
    return this.server.send(id, message);
  }

  broadcast(message: ToWorker): void {
    for (const id of this.ids) this.server.send(id, message);
  }
}

function isOf<T extends FromWorker["type"]>(message: FromWorker, type: T): message is Message<FromWorker, T> {
  return message.type === type;
}

function refuse({ from, message }: Received): never {
  throw new LockstepError("E_DECODE", `${from} sent ${message.type} when nobody expected it`);
}
