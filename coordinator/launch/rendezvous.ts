import { LockstepError } from "../../shared/errors.ts";

const LOOPBACK = ["127.0.0.1", "localhost"];

/**
 * The ZeroMQ endpoint for `--rdzv_endpoint=HOST:PORT`. Throws E_CONFIG where that is none, and E_KEY for a host that others
 * can reach, as nothing may listen there without keys.
 */
export function rendezvousEndpoint(given: string): string {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(given) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot listen on ${given} as --rdzv_endpoint must be HOST:PORT with a port from 1 to 65535`,
    );
  }
  if (!LOOPBACK.includes(host)) {
    throw new LockstepError(
      "E_KEY",
      `Cannot listen on ${given} as other machines reach it and keys for them are not built yet: use 127.0.0.1:${port}`,
    );
  }
  return `tcp://127.0.0.1:${port}`;
}
