import { LockstepError } from "../errors.ts";

/** A name that people bring from nanoGPT or torchrun and that is no key here. */
export interface ForeignName {
  readonly from: "nanoGPT's train.py" | "nanoGPT's sample.py" | "torchrun";
  /** Whether a run goes on without it, with a note, or is refused. */
  readonly verdict: "ignored" | "refused";
  /** Why it is ignored, or what to use instead. */
  readonly reason: string;
  /** True if the word after it is not its value. */
  readonly flag?: boolean;
}

const metrics = "one line sends the run's metrics.jsonl (docs/observe.md)";
const log = "every process writes to the run's log.jsonl, and workers where --log_dir says";
const rendezvous = "workers meet at their coordinator, see --rdzv_endpoint";
const processes = "workers are always processes of their own";
const sample = (name: string) => `it belongs to another command: lockstep sample RUN --${name}=…`;

/** What happens to each foreign name, on the command line and in TOML files. */
export const foreignNames: ReadonlyMap<string, ForeignName> = new Map<string, ForeignName>([
  ["compile", {
    from: "nanoGPT's train.py",
    verdict: "ignored",
    reason: "every step is compiled, see --engine",
    flag: true,
  }],
  ["wandb_log", { from: "nanoGPT's train.py", verdict: "ignored", reason: metrics, flag: true }],
  ["wandb_project", { from: "nanoGPT's train.py", verdict: "ignored", reason: metrics }],
  ["wandb_run_name", { from: "nanoGPT's train.py", verdict: "ignored", reason: metrics }],
  ["backend", {
    from: "nanoGPT's train.py",
    verdict: "ignored",
    reason: "gradients are added up over ZeroMQ",
  }],
  ["start", { from: "nanoGPT's sample.py", verdict: "refused", reason: sample("start") }],
  ["num_samples", { from: "nanoGPT's sample.py", verdict: "refused", reason: sample("num_samples") }],
  ["max_new_tokens", { from: "nanoGPT's sample.py", verdict: "refused", reason: sample("max_new_tokens") }],
  ["temperature", { from: "nanoGPT's sample.py", verdict: "refused", reason: sample("temperature") }],
  ["top_k", {
    from: "nanoGPT's sample.py",
    verdict: "refused",
    reason: `${sample("top_k")}; a model's is --reflex.top_k`,
  }],
  ["rdzv_backend", { from: "torchrun", verdict: "ignored", reason: rendezvous }],
  ["rdzv_conf", { from: "torchrun", verdict: "ignored", reason: rendezvous }],
  ["local_addr", { from: "torchrun", verdict: "refused", reason: "use --rdzv_endpoint=HOST:PORT" }],
  ["monitor_interval", {
    from: "torchrun",
    verdict: "ignored",
    reason: "the end of a worker is noticed at once",
  }],
  ["start_method", { from: "torchrun", verdict: "ignored", reason: processes }],
  ["role", { from: "torchrun", verdict: "ignored", reason: "all workers have one role" }],
  ["redirects", { from: "torchrun", verdict: "ignored", reason: log }],
  ["local_ranks_filter", { from: "torchrun", verdict: "ignored", reason: log }],
  ["logs_specs", { from: "torchrun", verdict: "ignored", reason: log }],
  ["numa_binding", {
    from: "torchrun",
    verdict: "ignored",
    reason: "the operating system places the workers",
  }],
  ["module", {
    from: "torchrun",
    verdict: "refused",
    reason: "a model of your own is --model=./my_model.ts",
    flag: true,
  }],
  ["no_python", {
    from: "torchrun",
    verdict: "refused",
    reason: "workers run no script; a model of your own is --model=./my_model.ts",
    flag: true,
  }],
  ["run_path", {
    from: "torchrun",
    verdict: "refused",
    reason: "workers run no script; a model of your own is --model=./my_model.ts",
    flag: true,
  }],
]);

/** The note that a foreign name is ignored. Throws E_CONFIG if it is refused. */
export function ignoreForeign(name: string, { verdict, from, reason }: ForeignName): string {
  if (verdict === "ignored") return `${name} (${from}) is ignored: ${reason}`;
  throw new LockstepError("E_CONFIG", `Cannot take ${name} (${from}): ${reason}`);
}
