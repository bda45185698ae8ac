import type { Environment } from "./environment.ts";

/**
 * Puts this process's Slurm job back into the queue; Slurm ends what is left of it, and starts it again under the same id.
 * Resolves to why that did not work, in a few words; null where it did.
 */
export async function requeue(environment: Environment): Promise<string | null> {
  const job = environment.SLURM_JOB_ID;
  if (job === undefined) return "SLURM_JOB_ID is not set";
  try {
    const { success, stderr } = await new Deno.Command("scontrol", { args: ["requeue", job] }).output();
    return success ? null : new TextDecoder().decode(stderr).trim();
  } catch {
    return "scontrol cannot be run";
  }
}
