import { join } from "node:path";
import type { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { makeFolder } from "../../shared/files.ts";
import { programCommand } from "../launch/program_command.ts";
import { nodeRange } from "../launch/rendezvous.ts";
import { renderSlurmScript } from "../launch/slurm_script.ts";
import { defineCommand } from "./command.ts";
import { slurmOptions } from "./slurm_options.ts";
import { sbatch } from "./sbatch.ts";
import { type Launcher, submit, type TrainJob } from "./submit.ts";

type Options = z.output<z.ZodObject<typeof slurmOptions>>;

/** `submit slurm PRESET`: a batch script for `train PRESET`, given to sbatch. */
export const command = defineCommand({
  summary: "Train on machines that Slurm gives",
  usage: "[PRESET|FILE.toml] [--nodes=2 …] [--key=value …]",
  options: slurmOptions,
  config: ["data", "model", "optimizer", "run", "evaluation", "system", "launch"],
  example:
    "lockstep submit slurm shakespeare-char --data=input.txt --nodes=2 --gpus-per-node=4 --time=8:00:00",
  run: ({ options, words }) => submit(words, { options, launcher: slurm }),
});

const slurm: Launcher<Options> = {
  render(job, { dry_run: _, ...options }) {
    const { nodes, elastic } = nodesOf(job, options);
    const { environment, words } = programCommand();
    const { job_name, ...asked } = options;
    return renderSlurmScript({
      options: { job_name: job_name ?? job.preset, ...asked, nodes, output: outputOf(job, options) },
      directory: Deno.cwd(),
      environment,
      program: words,
      words: ["train", ...job.words],
      elastic,
    });
  },

  async submit(script, { job, options }) {
    const output = outputOf(job, options);
    const id = await sbatch(script, { output });
    const folder = job.config.out_dir ?? join("out", `${job.preset}-${id}`);
    const kept = join(folder, "job.sh");
    await makeFolder(folder);
    await Deno.writeTextFile(kept, script);
    return `job ${id} is in the queue: its script is ${kept}, its output will be ${
      output.replaceAll(/%[jA]/g, id).replaceAll("%a", "*")
    }\nto look at it: squeue -j ${id}; to end it: scancel ${id}`;
  },
};

/** How many machines a job has, and whether it goes on without some of them. Throws E_CONFIG where its words contradict. */
function nodesOf(
  { config, given }: TrainJob,
  { nodes: asked, ntasks_per_node }: Pick<Options, "nodes" | "ntasks_per_node">,
): { nodes: number; elastic: boolean } {
  if (!given.has("nnodes")) return { nodes: asked ?? 1, elastic: false };
  const { min, max } = nodeRange(config.nnodes);
  const nodes = asked ?? Math.ceil(max / ntasks_per_node);
  if (nodes * ntasks_per_node === max) return { nodes, elastic: min < max };
  throw new LockstepError(
    "E_CONFIG",
    `Cannot train on --nnodes=${config.nnodes} with ${nodes} machines of ${ntasks_per_node} tasks as each task is a ` +
      `node: give --nodes=${max / ntasks_per_node}, or leave it out`,
  );
}

/** Where a job's output goes, with sbatch's signs for its id. */
function outputOf(
  { config, preset }: TrainJob,
  { output, array }: Pick<Options, "output" | "array">,
): string {
  if (array !== null && config.out_dir !== null) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot submit an array with --out_dir=${config.out_dir} as each of its jobs needs a folder of its own: leave it out`,
    );
  }
  const id = array === null ? "%j" : "%A_%a";
  if (output !== null) return output;
  return config.out_dir === null ? `out/${preset}-${id}.out` : join(config.out_dir, `slurm-${id}.out`);
}
