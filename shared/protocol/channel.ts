import type { MemberRole } from "../keys.ts";
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
   * Called when the connection has ended, once everything that came over it has been received. What was sent just before
   * is lost, or reaches the next coordinator ahead of all else; what is sent from here on until `onReconnected` is lost.
   */
  onGone?: () => void;
  /** Called when there is a connection again, maybe to another coordinator: it must be told who this is. */
  onReconnected?: () => void;
  /**
   * Delivers what was sent, throws away what was not received, frees everything; resolves then, within about
   * two seconds. Sending and closing again do nothing.
   */
  close(): Promise<void>;
}

/** A message and where it comes from. */
export interface Received {
  /** The id of the sender. */
  from: string;
  /** What the sender's key may be used for; "local" is a process of this user on this machine, or anybody where a run is insecure: it may do all. */
  role: MemberRole | "local";
  /** The IP address from which the sender is seen; null on this machine's own sockets. */
  address: string | null;
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
  /**
   * Called when a sender's connection has ended and it has not come back, once everything that it sent has been received.
   */
  onGone?: (from: string) => void;
  /**
   * Answers a frame of an admin, who is seen from `address`, with another. Must not reject. Where it is not set, what admins
   * send is received as what workers send is.
   */
  onAdmin?: (frame: Uint8Array, from: { address: string | null }) => Promise<Uint8Array<ArrayBuffer>>;
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
      if (clientOpen) toServer.push({ from: id, role: "local", address: null, message });
      return Promise.resolve();
    },
    receive: () => toClient.receive(),
    close: () => {
      if (clientOpen) toServer.notify(() => server.onGone?.(id));
      clientOpen = false;
      toClient.close();
      return Promise.resolve();
    },
  };
  return { server, client };
}
