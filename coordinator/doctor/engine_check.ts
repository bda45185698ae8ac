import { type Check, failure, ok, type PlannedEngine, warning } from "./check.ts";

/** What came of computing something small: its speed in GFLOP/s, why it failed, or why it could not be tried. */
export type Computed =
  | { readonly works: null; readonly why: string }
  | { readonly works: true; readonly gflops: number }
  | { readonly works: false; readonly why: string };

export interface EngineCheckOptions {
  /** Has an engine compute, compares the result, and measures. */
  compute(engine: PlannedEngine): Promise<Computed>;
}

/** Whether the engine that a run would take computes what it should, and how fast. */
export function engineCheck({ compute }: EngineCheckOptions): Check {
  return {
    name: "engine",
    async run({ config, plan }) {
      const engine = await plan.engine();
      const computed = await compute(engine);
      const where = `${engine.name} on ${engine.device}`;
      if (computed.works === null) {
        return warning(`${where} is not tried, as ${computed.why}`, "allow it, to be sure");
      }
      if (!computed.works) {
        return failure(
          `${where} does not compute a small step: ${computed.why}`,
          config.engine === "auto"
            ? "take another with --engine or --device: see docs/engines.md"
            : "put right what is said, or take another --engine: auto finds one that works",
        );
      }
      const hardware = engine.hardware === null ? "" : ` (${engine.hardware})`;
      return ok(
        `${where}${hardware}, ${
          computed.gflops.toPrecision(3)
        } GFLOP/s in a small training step on 1 thread; ${engine.reason || "the default"}`,
      );
    },
  };
}
