import { dirname } from "node:path";
import { makeFolder } from "../../shared/files.ts";
import { callSubmitter } from "./submit.ts";

/**
 * Gives a batch script to Slurm, with a folder for its `output`, and resolves to the job's id. Rejects with E_SUBMIT where Slurm is
 * not there or refuses, E_OUT_DIR where the folder cannot be made.
 */
export async function sbatch(script: string, { output }: { output: string }): Promise<string> {
  await makeFolder(dirname(output));
  const answer = await callSubmitter(["sbatch", "--parsable"], {
    input: script,
    missing: "do this on a machine of the cluster that has sbatch on its PATH",
  });
  const [id] = answer.split(";"); // "17;cluster" where there are several
  return id;
}
