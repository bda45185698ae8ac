import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { expandHosts } from "./slurm_hosts.ts";

/** Variables of a process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Keys that a launcher's environment decides, where no option does. */
export type LaunchKeys = Pick<
  RunConfig,
  | "nproc_per_node"
  | "nnodes"
  | "node_rank"
  | "local_rank"
  | "master_addr"
  | "master_port"
  | "rdzv_id"
  | "out_dir"
  | "keys"
>;

/** What a command line says that a launcher builds on. */
export interface LaunchOptions {
  readonly preset: string;
  /** The run's folder; null where no option names one. */
  readonly out_dir: string | null;
}

/** What a launcher says about this process. */
export interface Launch {
  /** Which one; null for none. */
  readonly launcher: "slurm" | "kubernetes" | "torchrun" | null;
  /** What it decides; undefined where it says nothing. */
  readonly decides: Partial<LaunchKeys>;
  /** Whether it has started this very job before: a run that it has left goes on. */
  readonly restarts: boolean;
}

/** The port of a Slurm job: this plus the last four digits of its id, so that jobs on one machine do not meet. */
const SLURM_PORT = 15_000;

/**
 * What Slurm's `srun`, a Kubernetes Indexed Job, or torchrun and whoever sets its variables (mpirun's wrappers, Kubeflow) say
 * about this process. Each process that they start counts as a node: with one worker where several share a machine. A Slurm job
 * has a folder of its own, made of the preset's name and its id, unless `out_dir` is given. Throws E_CONFIG for variables that
 * cannot be read.
 */
export function readLaunch(environment: Environment, options: LaunchOptions): Launch {
  if (isSlurmStep(environment)) {
    const restarts = (numbersOf(environment)("SLURM_RESTART_COUNT") ?? 0) > 0;
    return { launcher: "slurm", decides: readSlurm(environment, options), restarts };
  }
  if (environment.RANK !== undefined && environment.WORLD_SIZE !== undefined) {
    return { launcher: "torchrun", decides: readTorchrun(environment), restarts: false };
  }
  const launcher = environment.JOB_COMPLETION_INDEX === undefined ? null : "kubernetes";
  return { launcher, decides: readNode(environment), restarts: false };
}

/** Whether `srun` has started this process, or one that started it. */
export function isSlurmStep({ SLURM_STEP_ID, SLURM_PROCID }: Environment): boolean {
  return SLURM_STEP_ID !== undefined && SLURM_PROCID !== undefined;
}

function readSlurm(environment: Environment, { preset, out_dir: given }: LaunchOptions): Partial<LaunchKeys> {
  const number = numbersOf(environment);
  const job = number("SLURM_JOB_ID");
  const tasks = number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS") ?? 1;
  const machines = number("SLURM_STEP_NUM_NODES", "SLURM_NNODES") ?? 1;
  const hosts = environment.SLURM_STEP_NODELIST ?? environment.SLURM_JOB_NODELIST ?? "";
  if (job === undefined) return {};
  const { SLURM_ARRAY_JOB_ID, SLURM_ARRAY_TASK_ID } = environment;
  const name = SLURM_ARRAY_JOB_ID === undefined ? job : `${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}`;
  const out_dir = given ?? `out/${preset}-${name}`;
  return {
    nnodes: String(tasks),
    node_rank: number("SLURM_PROCID"),
    local_rank: number("SLURM_LOCALID"),
    nproc_per_node: tasks > machines ? 1 : undefined,
    master_addr: expandHosts(hosts)[0],
    master_port: SLURM_PORT + job % 10_000,
    rdzv_id: `slurm-${job}`,
    out_dir,
    keys: `${out_dir}/keys`,
  };
}

function readTorchrun(environment: Environment): Partial<LaunchKeys> {
  const number = numbersOf(environment);
  return {
    nnodes: String(number("WORLD_SIZE")),
    node_rank: number("RANK"),
    local_rank: number("LOCAL_RANK"),
    nproc_per_node: 1,
    ...meetingOf(environment),
  };
}

/** One process a node, as torchrun's own agents are started. */
function readNode(environment: Environment): Partial<LaunchKeys> {
  const number = numbersOf(environment);
  return {
    node_rank: number("JOB_COMPLETION_INDEX", "GROUP_RANK", "NODE_RANK"),
    ...meetingOf(environment),
  };
}

function meetingOf(environment: Environment): Partial<LaunchKeys> {
  return {
    master_addr: environment.MASTER_ADDR,
    master_port: numbersOf(environment)("MASTER_PORT"),
  };
}

/** Reads the first of some variables that is set. */
function numbersOf(environment: Environment): (...names: string[]) => number | undefined {
  return (...names) => {
    const name = names.find((name) => environment[name] !== undefined);
    if (name === undefined) return undefined;
    const text = environment[name] ?? "";
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new LockstepError(
      "E_CONFIG",
      `Cannot read ${name}=${text} of the environment as it must be a whole number`,
    );
  };
}
