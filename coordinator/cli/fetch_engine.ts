import { fileURLToPath } from "node:url";
import { LockstepError } from "../../shared/errors.ts";
import { ENGINE_PACKAGES } from "../../worker/engines/engine_packages.ts";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/**
 * Has Deno fetch the package of an engine that is not in deno.json, and note it in the lock file, before workers start: they
 * fetch nothing themselves.
 * Throws E_ENGINE where it cannot be had.
 */
export async function fetchEngine(name: string): Promise<void> {
  const specifier = ENGINE_PACKAGES[name];
  if (specifier === undefined) return;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", `--config=${CONFIG}`, specifier],
    stdin: "null",
  }).output();
  if (success) return;
  const reason = new TextDecoder().decode(stderr).trim().split("\n")[0];
  throw new LockstepError(
    "E_ENGINE",
    `Cannot use the engine ${name} as ${specifier} cannot be fetched: ${reason}`,
  );
}
