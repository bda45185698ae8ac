import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";

const LOOPBACK = ["127.0.0.1", "localhost"];

/** What guards an endpoint that others can reach. */
export interface Guard {
  /** Whether the run was given keys (`--keys`); a run makes keys for its own workers by itself. */
  readonly keys: boolean;
  /** Whether it was told to do without (`--insecure`). */
  readonly insecure: boolean;
}

/** Where a run's members meet, and how many machines there may be. */
export interface Rendezvous {
  /** The coordinator's ZeroMQ endpoint; undefined for a socket that only this user can reach. */
  readonly endpoint: string | undefined;
  /** Where the coordinator listens: as above, or on all of its machine's addresses where that is a name. */
  readonly bind: string | undefined;
  /** The host and the port as given; null with no endpoint. */
  readonly at: { readonly host: string; readonly port: number } | null;
  /** Whether workers may join that this coordinator has not started, and outlive it. */
  readonly isElastic: boolean;
  readonly minNodes: number;
  readonly maxNodes: number;
}

/** Reads torchrun's flags. Throws E_CONFIG or E_KEY as {@link rendezvousEndpoint}, and E_CONFIG for MIN above MAX. */
export function rendezvousOf(
  { nnodes, rdzv_endpoint, master_addr, master_port, keys, insecure }: Pick<
    RunConfig,
    "nnodes" | "rdzv_endpoint" | "master_addr" | "master_port" | "keys" | "insecure"
  >,
): Rendezvous {
  const { min: minNodes, max: maxNodes } = nodeRange(nnodes);
  const meets = rdzv_endpoint ?? (maxNodes > 1 ? `${master_addr ?? "127.0.0.1"}:${master_port}` : null);
  const endpoint = meets === null ? undefined : rendezvousEndpoint(meets, { keys: keys !== null, insecure });
  const at = endpoint === undefined ? null : partsOf(endpoint);
  return {
    endpoint,
    bind: at !== null && isName(at.host) ? `tcp://*:${at.port}` : endpoint,
    at,
    isElastic: maxNodes > 1,
    minNodes,
    maxNodes,
  };
}

/** The fewest and the most nodes of `--nnodes=N` or `MIN:MAX`. Throws E_CONFIG for MIN above MAX. */
export function nodeRange(nnodes: string): { min: number; max: number } {
  const [min, max = min] = nnodes.split(":").map(Number);
  if (min <= max) return { min, max };
  throw new LockstepError(
    "E_CONFIG",
    `Cannot take --nnodes=${nnodes} as MIN:MAX needs a MIN of at most MAX`,
  );
}

/**
 * The ZeroMQ endpoint for `--rdzv_endpoint=HOST:PORT`. Throws E_CONFIG where that is none, and E_KEY for a host that others
 * can reach where no keys were given, unless the run is to be insecure.
 */
export function rendezvousEndpoint(
  given: string,
  { keys, insecure }: Guard = { keys: false, insecure: false },
): string {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(given) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot listen on ${given} as --rdzv_endpoint must be HOST:PORT with a port from 1 to 65535`,
    );
  }
  if (LOOPBACK.includes(host)) return `tcp://127.0.0.1:${port}`;
  if (keys || insecure) return `tcp://${host}:${port}`;
  throw new LockstepError(
    "E_KEY",
    `Cannot meet at ${given} without keys as other machines reach it: make some with lockstep keygen and give them ` +
      `with --keys, or use 127.0.0.1:${port}`,
  );
}

function partsOf(endpoint: string): { host: string; port: number } {
  const end = endpoint.lastIndexOf(":");
  return { host: endpoint.slice("tcp://".length, end), port: Number(endpoint.slice(end + 1)) };
}

/** libzmq can connect to a name, and not listen on one. */
function isName(host: string): boolean {
  return /[A-Za-z]/.test(host) && !host.startsWith("[");
}
