import { networkInterfaces } from "node:os";
import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { type ResolveHost, resolveHost } from "../../shared/resolve_host.ts";
import { rendezvousOf } from "./rendezvous.ts";

/** What a node does for a run: one coordinates, and the workers of the others join it. */
export type Role = "coordinator" | "node";

export interface RoleOptions {
  readonly resolve?: ResolveHost;
  /** This machine's addresses. */
  readonly own?: readonly string[];
}

/** How often a name that nobody knows yet is looked for, in ms. */
const LOOK_MS = 500;
const HERE = /^(127\..*|localhost|\*|0\.0\.0\.0|\[.*\])$/;

/**
 * Whose run it is where the same command runs on every node: node 0's where ranks are given, otherwise that of the machine to
 * which the rendezvous endpoint belongs. Rejects with E_RDZV where its host has no address within `patience`.
 */
export async function roleOf(
  config: RunConfig,
  { resolve = resolveHost, own = ownAddresses() }: RoleOptions = {},
): Promise<Role> {
  const { at } = rendezvousOf(config);
  if (at === null) return "coordinator";
  if (config.node_rank !== null) return config.node_rank === 0 ? "coordinator" : "node";
  if (HERE.test(at.host)) return "coordinator";
  const addresses = await patiently(() => resolve(at.host), config.patience);
  if (addresses.length === 0) throw unknownHost(at.host, config.patience);
  const isHere = addresses.some((address) => address.startsWith("127.") || own.includes(address));
  return isHere ? "coordinator" : "node";
}

/** No machine of that name is known. */
export function unknownHost(host: string, patience: number): LockstepError {
  return new LockstepError(
    "E_RDZV",
    `Cannot meet the run at ${host} as no machine of that name was found within ${patience} s: check --rdzv_endpoint ` +
      "or --master_addr",
  );
}

async function patiently(look: () => Promise<string[]>, patience: number): Promise<string[]> {
  for (const end = Date.now() + 1_000 * patience;;) {
    const found = await look();
    if (found.length > 0 || Date.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => address)
  );
}
