import { type Check, describeBytes, ok, warning } from "./check.ts";
import { type MachineLimits, readMachineLimits } from "./machine_limits.ts";

export interface ShmCheckOptions {
  /** Whether this process can show a memory to others and map it: null, or why not. */
  share(): string | null;
  read?: () => Promise<Pick<MachineLimits, "shmBytes">>;
}

/**
 * Whether workers of this machine can read each other's memory. They need nothing of /dev/shm, which engines of other
 * makers may: its room is told.
 */
export function shmCheck({ share, read = readMachineLimits }: ShmCheckOptions): Check {
  return {
    name: "shm",
    async run({ plan }) {
      const { shmBytes } = await read();
      const room = shmBytes === null ? "no /dev/shm is seen" : `/dev/shm has ${describeBytes(shmBytes)}`;
      const problem = share();
      const { count } = await plan.workers().catch(() => ({ count: 1 }));
      if (problem === null) return ok(`workers read each other's memory, without /dev/shm; ${room}`);
      if (count === 1) return ok(`one worker needs none; ${room}`);
      return warning(
        `workers pass gradients over sockets as ${problem}; ${room}`,
        "allow memfd_create and /proc/PID/fd (no hidepid), or go on: the bits are the same, only slower",
      );
    },
  };
}
