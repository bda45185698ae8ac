import type { ChaosCase } from "./case.ts";
import { configuration } from "./configuration.ts";
import { join, meeting } from "./elastic.ts";
import { pourOversized } from "./oversized_frame.ts";
import { memoryOf } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { expect, type Scenario } from "./scenario.ts";
import { returns } from "./worker_cases.ts";

/** The step at which faults happen. */
const STEP = 12;

/** What a coordinator may take more while somebody pours bytes at it: far less than is poured. */
const SLACK_BYTES = 100e6;

/** Faults of what is on its way: 21 to 24 and 35. */
export const frameCases: readonly ChaosCase[] = [
  {
    number: 21,
    name:
      "a flipped byte on the way: E_CRC where it is plain, the end of the connection where it is encrypted; the step is redone",
    words: configuration(200),
    paceMs: 60,
    async run(scenario) {
      const at = meeting();
      const fault = `worker-1:frame:${STEP}:flip`;
      const run = scenario.train({ workers: 2, words: at.words, faults: fault });
      const since = await scenario.happened(fault);
      await scenario.recovers(run, { since, step: STEP, limit: "death" });
      await failed(scenario, "E_CRC");
      using proxy = new Proxy(Number(at.endpoint.split(":")[1]));
      join(scenario, { endpoint: proxy.endpoint }, { words: ["--id=far"] });
      await scenario.logged("roster", ({ fields }) => JSON.stringify(fields.members).includes("far"));
      await scenario.reaches(run, run.iteration + 5);
      const flipped = Date.now();
      proxy.flip();
      await scenario.until("the flip", () => proxy.isDone || null);
      await scenario.recovers(run, { since: flipped, step: run.iteration + 2, limit: "stall" });
      await scenario.reasoned("far is gone: its connection ended");
      await returns(scenario, "far", flipped);
      await scenario.ends(run);
    },
  },
  {
    number: 22,
    name: "a truncated frame: E_SHORT, redone; repeated: evicted",
    words: configuration(120),
    paceMs: 60,
    async run(scenario) {
      const faults = [`worker-1:frame:${STEP}:cut`, `worker-1:again:${STEP}:cut`];
      const run = scenario.train({ faults: faults.join(",") });
      const since = await scenario.happened(faults[0]);
      await scenario.happened(faults[1]);
      await scenario.recovers(run, { since, step: STEP, limit: "stall" });
      await failed(scenario, "E_SHORT");
      await scenario.reasoned("worker-1 is evicted: the link between it and ");
      await returns(scenario, "worker-1", since);
      await scenario.ends(run);
    },
  },
  {
    number: 23,
    name: "an oversized frame: refused, whoever sent it disconnected, memory bounded",
    words: configuration(120),
    paceMs: 60,
    async run(scenario) {
      const at = meeting();
      const fault = `worker-1:frame:${STEP}:grow`;
      const run = scenario.train({ workers: 2, words: at.words, faults: fault });
      const since = await scenario.happened(fault);
      await scenario.recovers(run, { since, step: STEP, limit: "death" });
      await failed(scenario, "E_SHORT");
      const before = await memoryOf(run.pid);
      for (let time = 0; time < 3; time++) {
        const poured = await pourOversized(Number(at.endpoint.split(":")[1]));
        expect(poured < SLACK_BYTES, `it took ${poured} bytes of a frame that must not be`);
      }
      const more = await memoryOf(run.pid) - before;
      expect(more < SLACK_BYTES, `the coordinator took ${more} bytes more`);
      await scenario.ends(run);
    },
  },
  {
    number: 24,
    name: "frames of an older generation: dropped, counted",
    words: configuration(80),
    paceMs: 60,
    run: dropped(`worker-1:frame:${STEP}:old`),
  },
  {
    number: 35,
    name: "frames of another run reach a port that is used again: dropped, counted",
    words: configuration(80),
    paceMs: 60,
    run: dropped(`worker-1:frame:${STEP}:foreign`),
  },
];

/** Sends a frame that belongs nowhere, which must change nothing and be told of. */
function dropped(fault: string) {
  return async (scenario: Scenario) => {
    const run = scenario.train({ faults: fault });
    await scenario.happened(fault);
    await scenario.logged("dropped_frames", ({ fields }) => fields.dropped === 1);
    const rosters = (await scenario.log()).filter(({ event }) => event === "roster");
    expect(rosters.length === 1, "it disturbed the run");
    await scenario.ends(run);
  };
}

/** Waits until a reduction has failed with a code. */
async function failed(scenario: Scenario, code: string): Promise<void> {
  await scenario.logged("reduction_failed", ({ fields }) => fields.code === code);
}
