import process from "node:process";

/** CPU time of all threads of this process in ms: it grows while something computes. /proc would take --allow-all. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1_000);
}
