import { z } from "zod";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";

/** A text that stands in a directive of sbatch without quotes. */
export function slurmWord(what: string, pattern: RegExp = /^[\w.,:-]+$/) {
  return optional(z.string().regex(pattern).describe(what));
}

/** Options of commands that submit batch scripts to Slurm, named as sbatch names them. */
export const slurmOptions = {
  nodes: optional(wholeNumber(1)).default(null).register(about, {
    unit: "machines",
    help: "Machines; none is as many as --nnodes",
  }),
  ntasks_per_node: wholeNumber(1).default(1).register(about, {
    unit: "tasks",
    help: "Tasks of each machine: one starts a worker for each GPU or core, of several each is a worker",
  }),
  gpus_per_node: slurmWord("a number, or TYPE:NUMBER", /^([A-Za-z][\w.-]*:)?\d+$/).default(null).register(
    about,
    {
      unit: "GPUs",
      help: "GPUs of each machine",
    },
  ),
  cpus_per_task: optional(wholeNumber(1)).default(null).register(about, {
    unit: "cores",
    help: "Cores of each task",
  }),
  mem: slurmWord("a number of megabytes, or one with K, M, G or T", /^\d+[KMGT]?$/).default(null).register(
    about,
    {
      unit: "size",
      help: "Memory of each machine",
    },
  ),
  time: slurmWord("minutes, MM:SS, HH:MM:SS, D-HH or D-HH:MM:SS", /^(\d+-)?\d+(:\d\d?){0,2}$/).default(null)
    .register(about, { help: "How long it may take before Slurm ends it, or with --signal requeues it" }),
  partition: slurmWord("a name").default(null).register(about, { help: "Partition" }),
  account: slurmWord("a name").default(null).register(about, { help: "Account that pays" }),
  qos: slurmWord("a name").default(null).register(about, { help: "Quality of service" }),
  constraint: slurmWord("features such as a100|h100", /^[\w.,:&|*()[\]-]+$/).default(null).register(about, {
    help: "Features that machines must have",
  }),
  job_name: slurmWord("a name").default(null).register(about, {
    help: "The job's name; none is the preset's",
  }),
  array: slurmWord("indices such as 0-7 or 0-7%2", /^\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?$/).default(
    null,
  )
    .register(about, { help: "Submit it once for each index, each a run of its own" }),
  output: optional(text("a path")).default(null).register(about, {
    help: "Where output goes; none is out/PRESET-JOB.out, or in --out_dir",
  }),
  signal: slurmWord("USR1@SECONDS", /^(SIG)?USR1@\d{1,5}$/).default("USR1@90").register(about, {
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
