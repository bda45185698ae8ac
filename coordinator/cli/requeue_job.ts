import type { Environment } from "../launch/environment.ts";
import { requeue } from "../launch/requeue.ts";

/** Puts this process's Slurm job back into the queue, and tells a person whether that worked. */
export async function requeueJob(environment: Environment): Promise<void> {
  const problem = await requeue(environment);
  if (problem === null) console.log("the job is in the queue again, and will go on from here");
  else console.error(`warning the job was not put back into the queue: ${problem}`);
}
