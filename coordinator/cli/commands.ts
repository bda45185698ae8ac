import type { CommandModule } from "./command.ts";

/** A command of the program: its file is loaded when it is called, so that `--help` is there at once. */
export interface CommandEntry {
  readonly name: string;
  /** As in its module, which is not loaded to list it. */
  readonly summary: string;
  load(): Promise<{ readonly command: CommandModule }>;
}

/** A word before commands of its own, `lockstep submit slurm …`, which may be one itself where none of them follows. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly CommandEntry[];
  readonly load?: CommandEntry["load"];
}

/** Every command, in the order of `lockstep --help`. */
export const commands: readonly (CommandEntry | CommandGroup)[] = [
  {
    name: "train",
    summary: "Train a model from a preset or a TOML file",
    load: () => import("./train.ts"),
  },
  {
    name: "eval",
    summary: "Evaluate a trained run on tasks, dealt over workers",
    load: () => import("./eval.ts"),
  },
  {
    name: "sample",
    summary: "Let a trained model write, or sort",
    load: () => import("./sample.ts"),
  },
  {
    name: "prepare",
    summary: "Turn a text into train.bin, val.bin and meta.json",
    load: () => import("./prepare.ts"),
  },
  {
    name: "inspect",
    summary: "Show what a run holds and verify its checkpoints",
    load: () => import("./inspect.ts"),
  },
  {
    name: "export",
    summary: "Write a trained model in the format of another program",
    load: () => import("./export.ts"),
  },
  {
    name: "doctor",
    summary: "Look at all that a run needs, before it starts",
    load: () => import("./doctor.ts"),
  },
  {
    name: "sweep",
    summary: "Train and measure variants with several seeds, and compare them",
    load: () => import("./sweep.ts"),
    commands: [
      {
        name: "report",
        summary: "Compare the variants of sweeps by the results that are there",
        load: () => import("./sweep_report.ts"),
      },
    ],
  },
  {
    name: "serve",
    summary: "Show runs on a page: curves, workers, samples, and commands to one that goes on",
    load: () => import("./serve.ts"),
  },
  {
    name: "report",
    summary: "Write what runs did into one HTML file that needs nothing else",
    load: () => import("./report.ts"),
  },
  {
    name: "attach",
    summary: "Look at a run that goes on, and steer it, from a console",
    load: () => import("./attach.ts"),
  },
  {
    name: "submit",
    summary: "Train on machines of a cluster",
    commands: [
      {
        name: "slurm",
        summary: "Train on machines that Slurm gives",
        load: () => import("./submit_slurm.ts"),
      },
      {
        name: "kubernetes",
        summary: "Train on pods of a Kubernetes cluster",
        load: () => import("./submit_kubernetes.ts"),
      },
    ],
  },
  {
    name: "worker",
    summary: "Join a run as a worker; a coordinator starts those of its own machine by itself",
    load: () => import("./worker.ts"),
  },
  {
    name: "keygen",
    summary: "Make the keys with which a coordinator, its workers and its admins meet over a network",
    load: () => import("./keygen.ts"),
  },
  {
    name: "setup-xla",
    summary: "Fetch XLA's plugin, which computes on NVIDIA GPUs, from PyPI",
    load: () => import("./setup_xla.ts"),
  },
  {
    name: "setup-tensorflow",
    summary: "Build the native binding of the engine tensorflow against PyPI's TensorFlow",
    load: () => import("./setup_tensorflow.ts"),
  },
  {
    name: "verify",
    summary: "Hold an engine against a directory of reference weights, gradients and losses",
    load: () => import("./verify.ts"),
  },
  {
    name: "bench",
    summary: "Measure a training step or the all-reduce on this machine",
    load: () => import("./bench.ts"),
  },
  {
    name: "chaos",
    summary: "Disturb real runs in all the ways that a run must survive",
    load: () => import("./chaos.ts"),
  },
];
