import { dirname, join } from "node:path";
import { z } from "zod";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { fileError } from "../../shared/files.ts";
import { programCommand } from "../launch/program_command.ts";
import { nodeRange } from "../launch/rendezvous.ts";
import { renderSlurmScript } from "../launch/slurm_script.ts";
import { defineCommand } from "./command.ts";
import { callSubmitter, type Launcher, submit, type TrainJob } from "./submit.ts";

/** A text that stands in a directive of sbatch without quotes. */
function word(what: string, pattern: RegExp = /^[\w.,:-]+$/) {
  return optional(z.string().regex(pattern).describe(what));
}

const options = {
  nodes: optional(wholeNumber(1)).default(null).register(about, {
    unit: "machines",
    help: "Machines; none is as many as --nnodes",
  }),
  ntasks_per_node: wholeNumber(1).default(1).register(about, {
    unit: "tasks",
    help: "Tasks of each machine: one starts a worker for each GPU or core, of several each is a worker",
  }),
  gpus_per_node: word("a number, or TYPE:NUMBER", /^([A-Za-z][\w.-]*:)?\d+$/).default(null).register(about, {
    unit: "GPUs",
    help: "GPUs of each machine",
  }),
  cpus_per_task: optional(wholeNumber(1)).default(null).register(about, {
    unit: "cores",
    help: "Cores of each task",
  }),
  mem: word("a number of megabytes, or one with K, M, G or T", /^\d+[KMGT]?$/).default(null).register(about, {
    unit: "size",
    help: "Memory of each machine",
  }),
  time: word("minutes, MM:SS, HH:MM:SS, D-HH or D-HH:MM:SS", /^(\d+-)?\d+(:\d\d?){0,2}$/).default(null)
    .register(about, { help: "How long it may take before Slurm ends it, or with --signal requeues it" }),
  partition: word("a name").default(null).register(about, { help: "Partition" }),
  account: word("a name").default(null).register(about, { help: "Account that pays" }),
  qos: word("a name").default(null).register(about, { help: "Quality of service" }),
  constraint: word("features such as a100|h100", /^[\w.,:&|*()[\]-]+$/).default(null).register(about, {
    help: "Features that machines must have",
  }),
  job_name: word("a name").default(null).register(about, { help: "The job's name; none is the preset's" }),
  array: word("indices such as 0-7 or 0-7%2", /^\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?$/).default(null)
    .register(about, { help: "Submit it once for each index, each a run of its own" }),
  output: optional(text("a path")).default(null).register(about, {
    help: "Where output goes; none is out/PRESET-JOB.out, or in --out_dir",
  }),
  signal: word("USR1@SECONDS", /^(SIG)?USR1@\d{1,5}$/).default("USR1@90").register(about, {
    help:
      "How many seconds before its time is over the run saves and goes back into the queue; none lets it end",
  }),
  requeue: truth().default(true).register(about, {
    help: "Whether Slurm may put it back into the queue: when its time is over, or it lost a machine",
  }),
  dry_run: truth().default(false).register(about, {
    help: "Print the script that sbatch would be given, and submit nothing",
  }),
};

type Options = z.output<z.ZodObject<typeof options>>;

/** `submit slurm PRESET`: a batch script for `train PRESET`, given to sbatch. */
export const command = defineCommand({
  summary: "Train on machines that Slurm gives",
  usage: "[PRESET|FILE.toml] [--nodes=2 …] [--key=value …]",
  options,
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
    await makeFolder(dirname(output));
    const answer = await callSubmitter(["sbatch", "--parsable"], {
      input: script,
      missing: "do this on a machine of the cluster that has sbatch on its PATH",
    });
    const [id] = answer.split(";"); // "17;cluster" where there are several
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

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(error, `make the folder ${path}`);
  }
}
