import type { Program } from "./program.ts";
import type { Scenario, StartOptions } from "./scenario.ts";

/** Where a run's workers meet their coordinator, on this machine. */
export interface Meeting {
  readonly endpoint: string;
  /** Words of `train` for a run that others may join, and whose workers outlive the coordinator. */
  readonly words: readonly string[];
}

/** A free port of this machine to meet at. */
export function meeting(): Meeting {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const endpoint = `127.0.0.1:${port}`;
  return { endpoint, words: ["--nnodes=1:2", `--rdzv_endpoint=${endpoint}`, "--rdzv_id=chaos"] };
}

/** Starts a worker by hand, with the keys that the run has made unless others are given. */
export function join(
  scenario: Scenario,
  { endpoint, keys = scenario.path("run", "keys") }: Pick<Meeting, "endpoint"> & { keys?: string },
  { words = [], ...options }: StartOptions & { words?: readonly string[] } = {},
): Program {
  return scenario.start(["worker", `--rdzv_endpoint=${endpoint}`, `--keys=${keys}`, ...words], options);
}
