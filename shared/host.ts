import { hostname } from "node:os";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * Names this machine, as far as processes on it reach each other's files: two processes with one name share a kernel and a
 * folder for temporary files.
 */
export function hostName(): string {
  const boot = read(() => Deno.readTextFileSync(BOOT_ID).trim().slice(0, 8));
  const temporary = read(() => `${Deno.statSync(Deno.env.get("TMPDIR") ?? "/tmp").dev}`);
  return [hostname(), boot, temporary].filter((part) => part !== "").join(".").replaceAll(
    /[^A-Za-z0-9._-]/g,
    "-",
  )
    .slice(0, 128);
}

function read(from: () => string): string {
  try {
    return from();
  } catch {
    return "";
  }
}
