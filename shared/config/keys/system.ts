import { z } from "zod";
import {
  about,
  choice,
  modulePath,
  optional,
  positiveNumber,
  text,
  truth,
  wholeNumber,
  wordOr,
} from "../kinds.ts";

/** Keys of the machine: what computes, and how much it says. */
export const systemKeys = {
  device: choice(["auto", "cpu", "cuda", "webgpu"]).default("auto").register(about, {
    help: "Where to compute; auto takes the first of cuda, webgpu and cpu that works, on a real GPU or none",
  }),
  engine: wordOr(
    ["auto", "onnx", "tensorflow", "webgpu", "xla", "reference"],
    modulePath("a module with your own engine"),
  )
    .default("auto")
    .register(
      about,
      {
        help:
          "What computes: onnx compiled for CPUs, xla for NVIDIA GPUs, tensorflow native, webgpu any GPU, reference plain",
      },
    ),
  dtype: choice(["float32", "bfloat16", "float16"]).default("float32").register(about, {
    help: "What matrix products multiply (other than float32 with xla only); weights and sums are float32",
    numerics: true,
  }),
  threads: wholeNumber(1, 1024).default(1).register(about, {
    unit: "threads",
    help: "Threads of each worker; another number gives other bits",
    numerics: true,
  }),
  peak_tflops: optional(positiveNumber()).default(null).register(about, {
    unit: "TFLOP/s",
    help: "What each worker's device can do at most, by which MFU is measured; none leaves MFU out",
  }),
  audit_interval: wholeNumber(0).default(100).register(about, {
    unit: "steps",
    help: "How often two workers compute one micro-batch and compare; 0 is never",
  }),
  deterministic: truth().default(false).register(about, {
    help: "Whether to refuse what gives other bits, such as resuming with another engine",
  }),
  verbose: truth().default(false).register(about, {
    help: "Whether to print more, the stack of an unexpected error included",
  }),
  quiet: truth().default(false).register(about, {
    help: "Whether to print errors and the result only",
  }),
};

/** Keys of the launch, torchrun's: who starts how many processes, and where they meet. Never numerics. */
export const launchKeys = {
  nproc_per_node: wordOr(["auto", "cpu", "gpu"], wholeNumber(1)).default("auto").register(about, {
    unit: "workers",
    help: "Workers on this machine; auto takes one for each GPU or core, at most gradient_accumulation_steps",
  }),
  nnodes: z.string().regex(/^[1-9]\d*(:[1-9]\d*)?$/).describe('a text such as "2", or "1:4" for MIN:MAX')
    .default("1").register(about, { unit: "machines", help: "Machines, or the fewest and the most of them" }),
  rdzv_endpoint: optional(text("HOST:PORT")).default(null).register(about, {
    help:
      "Where the workers meet their coordinator; none is master_addr:master_port with more than one machine",
  }),
  rdzv_id: optional(text("a name")).default(null).register(about, {
    help: "Name of the run that a worker may join",
  }),
  keys: optional(text("a folder")).default(null).register(about, {
    help:
      "A folder of keys from lockstep keygen; none makes keys in the run's directory, which stay on this machine",
  }),
  insecure: truth().default(false).register(about, {
    help: "Whether to listen without keys: anybody who reaches the port can read, change and end the run",
  }),
  master_addr: optional(text("a host")).default(null).register(about, {
    help: "The coordinator's host; none is MASTER_ADDR, else this machine",
  }),
  master_port: wholeNumber(1, 65_535).default(29_500).register(about, {
    help: "The coordinator's TCP port",
  }),
  node_rank: optional(wholeNumber(0)).default(null).register(about, {
    help: "This machine's index, counted from 0; none asks the launcher's environment, else 0",
  }),
  local_rank: optional(wholeNumber(0)).default(null).register(about, {
    help: "This process's index among those that a launcher has started on one machine: which GPU it takes",
  }),
  log_dir: optional(text("a folder")).default(null).register(about, {
    help:
      "Where the standard error of each worker goes, ID/ATTEMPT/stderr.log; none shows that of other nodes",
  }),
  tee: choice(["0", "1", "2", "3"]).default("0").register(about, {
    help: "With log_dir, what is shown too, as torchrun's: 2 or 3 for the standard error of the workers",
  }),
  min_workers: wholeNumber(1).default(1).register(about, {
    unit: "workers",
    help: "With fewer workers than these a run waits for others",
  }),
  patience: wholeNumber(1).default(300).register(about, {
    unit: "seconds",
    help:
      "How long a run with too few workers waits for others, and its workers for a coordinator, before they end with 75",
  }),
  max_restarts: wholeNumber(0).default(3).register(about, {
    unit: "restarts",
    help: "How often a local worker that died is started again",
  }),
  chaos: optional(text("faults such as kill:10s,stall:30s")).default(null).register(about, {
    help: "Faults to inject into local workers, and how often: for people who want to see it",
  }),
  standalone: truth().default(false).register(about, {
    help: "Whether to stay on this machine, as it does unless told otherwise",
  }),
};
