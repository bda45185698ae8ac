import { Inbox } from "./inbox.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** A worker's side of the control connection. Messages arrive whole, once and in order. */
export interface WorkerChannel {
  /**
   * Queues a message, which must not be changed afterwards. Resolves when the transport has taken it, or
   * never will; whoever streams much data awaits this, others need not. It never rejects. Throws
   * `LockstepError` E_TOO_LARGE.
   */
  send(message: FromWorker): Promise<void>;
  /**
   * The coordinator's next message; null when closed. Rejects with `LockstepError` E_DECODE if it cannot be
   * read.
   */
  receive(): Promise<ToWorker | null>;
  /**
   * Delivers what was sent, throws away what was not received, frees everything; resolves then, within about
   * two seconds. Sending and closing again do nothing.
   */
  close(): Promise<void>;
}

/** A message and the id of the worker that sent it. */
export interface Received {
  from: string;
  message: FromWorker;
}

/** The coordinator's side of the control connections of all workers. */
export interface CoordinatorServer {
  /** Where workers connect to. */
  readonly endpoint: string;
  /** As `WorkerChannel.send`; a message for a worker that is not connected is dropped. */
  send(to: string, message: ToWorker): Promise<void>;
  /** The next message of any worker; null when closed. */
  receive(): Promise<Received | null>;
  /** As `WorkerChannel.close`. */
  close(): Promise<void>;
}

/**
 * Both sides within one process, for one worker named `id`: no socket, no serialisation, messages pass by
 * reference. When one side closes, the other can still receive what was sent; a closed server also ends the
 * client.
 */
export function memoryPair(id: string): { server: CoordinatorServer; client: WorkerChannel } {
  const toServer = new Inbox<Received>();
  const toClient = new Inbox<ToWorker>();
  let serverOpen = true, clientOpen = true;
  const server: CoordinatorServer = {
    endpoint: `memory:${id}`,
    send: (to, message) => {
      if (serverOpen && to === id) toClient.push(message);
      return Promise.resolve();
    },
    receive: () => toServer.receive(),
    close: () => {
      serverOpen = false;
      toServer.close();
      toClient.finish();
      return Promise.resolve();
    },
  };
  const client: WorkerChannel = {
    send: (message) => {
      if (clientOpen) toServer.push({ from: id, message });
      return Promise.resolve();
    },
    receive: () => toClient.receive(),
    close: () => {
      clientOpen = false;
      toClient.close();
      return Promise.resolve();
    },
  };
  return { server, client };
}
