import { loadLibzmq } from "./libzmq.ts";

const BOTH_DIRECTIONS = 2; // SHUT_RDWR

/**
 * Ends the connection with this file descriptor, as libzmq has no call for that; its `disconnected` event follows. Does
 * nothing on systems that lack shutdown(2). The caller must have taken all events of the socket's `Monitor` just before,
 * as the number of a connection that has ended may already be another's.
 */
export function shutdownConnection(descriptor: number): void {
  loadLibzmq().shutdown?.(descriptor, BOTH_DIRECTIONS);
}
