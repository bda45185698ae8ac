import { commandLine } from "../../shared/command_line.ts";
import { type Check, ok, warning } from "./check.ts";

/** The GPUs of a machine. */
export interface Gpus {
  /** NVIDIA's, as CUDA_VISIBLE_DEVICES names them. */
  readonly nvidia: readonly string[];
  /** NVIDIA's driver in its own words; null where it says nothing. */
  readonly driver: string | null;
  /** A WebGPU adapter on a real GPU, described; null where none answers. */
  readonly adapter: string | null;
  /** Why there is none; null where there is one. */
  readonly none: string | null;
}

/** Which GPUs there are, and whether a run would compute on them. */
export function gpuCheck({ read }: { read: () => Promise<Gpus> }): Check {
  return {
    name: "gpu",
    async run({ config, plan }) {
      const { nvidia, driver, adapter, none } = await read();
      if (nvidia.length === 0 && adapter === null) return ok(none ?? "no GPU");
      const seen = [
        ...(nvidia.length === 0
          ? []
          : [`NVIDIA ${nvidia.join(", ")}${driver === null ? "" : `, ${driver}`}`]),
        ...(adapter === null ? [] : [`WebGPU: ${adapter}`]),
      ].join("; ");
      const engine = await plan.engine().catch(() => null); // the check of the engine tells
      const isLeft = engine?.device === "cpu" && config.device === "auto" && config.engine === "auto";
      if (!isLeft) return ok(seen);
      return warning(
        `${seen}; the run computes on the CPU: ${engine.reason}`,
        nvidia.length > 0 ? `${commandLine("setup-xla --cuda")}, then look again` : "try --device=webgpu",
      );
    },
  };
}
