import type { SocketOptions } from "../zmq/socket_options.ts";
import { MAX_MESSAGE_BYTES } from "./codec.ts";

/** Received messages that wait for their reader before the other side is held back. */
export const WAITING_MESSAGES = 64;

const QUEUED_MESSAGES = 16; // that libzmq queues for each peer, in each direction
const LINGER_MS = 500;
const CURVE_BYTES = 33; // that encryption adds to a frame, and that the limit of a frame counts

/** Over a network a connection can be dead without a word: this notices it within 4 s. */
const OVER_TCP: SocketOptions = { heartbeatIvl: 1_000, heartbeatTimeout: 3_000 };

/** Time in ms that a connection has to prove that it may speak. */
export const HANDSHAKE_MS = 5_000;

/** True for an endpoint that other users, or other machines, can reach. */
export function isTcp(endpoint: string): boolean {
  return endpoint.startsWith("tcp:");
}

/** What both ends of a control connection at `endpoint` have in common. */
export function controlSocketOptions(endpoint: string): SocketOptions {
  return {
    linger: LINGER_MS,
    handshakeIvl: HANDSHAKE_MS,
    sndHwm: QUEUED_MESSAGES,
    rcvHwm: QUEUED_MESSAGES,
    maxMsgSize: MAX_MESSAGE_BYTES + CURVE_BYTES,
    ...(isTcp(endpoint) ? OVER_TCP : {}),
  };
}
