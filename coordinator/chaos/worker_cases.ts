import type { ChaosCase } from "./case.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import { expect, type Scenario } from "./scenario.ts";
import { configuration } from "./configuration.ts";
import { pause } from "./pause.ts";

/** The step at which faults happen. */
const STEP = 12;
const PACE_MS = 40;

const short = { words: configuration(60), paceMs: PACE_MS };

/** Kills at a point of a step, and expects the next step within the limit for a death. */
export function death(
  faults: string,
  { workers = 3, step = STEP }: { workers?: number; step?: number } = {},
) {
  return async (scenario: Scenario) => {
    const run = scenario.train({ workers, faults });
    const times = await Promise.all(
      faults.split(",").filter((fault) => fault.includes(":kill")).map((fault) => scenario.happened(fault)),
    );
    await scenario.recovers(run, { since: Math.max(...times), step, limit: "death" });
    await scenario.ends(run);
  };
}

/** Faults of workers: 1 to 10. */
export const workerCases: readonly ChaosCase[] = [
  {
    number: 1,
    name: "a worker is killed in COMPUTE",
    ...short,
    run: death(`worker-1:compute:${STEP}:kill`),
  },
  {
    number: 2,
    name: "a worker is killed in the middle of a gradient bucket",
    words: configuration(40, { wide: true }),
    paceMs: PACE_MS,
    run: death(`worker-1:frame:${STEP}:kill`),
  },
  {
    number: 3,
    name: "a worker is killed while PREPARED",
    ...short,
    run: death(`worker-0:reduce:${STEP}:busy:300,worker-1:prepared:${STEP}:kill:100`),
  },
  {
    number: 4,
    name: "a worker is killed after COMMIT, before APPLY",
    ...short,
    run: death(`worker-1:commit:${STEP}:kill`, { step: STEP + 1 }),
  },
  {
    number: 5,
    name: "two of four workers are killed together",
    ...short,
    run: death(`worker-1:reduce:${STEP}:kill,worker-2:reduce:${STEP}:kill`, { workers: 4 }),
  },
  {
    number: 6,
    name: "fewer workers than the minimum: a pause, and E_TOO_FEW after the limit",
    ...short,
    async run(scenario) {
      const words = ["--min_workers=2", "--max_restarts=0", "--patience=10"];
      const run = scenario.train({ workers: 2, words, faults: `worker-1:compute:45:kill` });
      await scenario.logged("waiting", ({ fields }) => String(fields.reason).includes("worker-1 is gone"));
      const steps = run.iteration;
      await scenario.ends(run, 75, "E_TOO_FEW");
      expect(run.iteration === steps, "it made steps with fewer workers than the minimum");
      await scenario.endsAllProcesses();
      await scenario.ends(scenario.train({ workers: 2, resumes: true, words: ["--patience=60"] }));
    },
  },
  {
    number: 7,
    name: "a worker is stopped for 2 s: nobody is evicted",
    ...short,
    async run(scenario) {
      const run = scenario.train();
      await scenario.reaches(run, STEP);
      const [pid, before] = [await scenario.worker("worker-1"), await scenario.log()];
      sendSignal(pid, "SIGSTOP");
      await pause(2_000);
      sendSignal(pid, "SIGCONT");
      await scenario.reaches(run, run.iteration + 10);
      const happened = (await scenario.log()).slice(before.length).map(({ event }) => event);
      expect(!happened.includes("roster"), `the run noticed it: ${happened.join(", ")}`);
      await scenario.ends(run);
    },
  },
  {
    number: 8,
    name: "a worker is stopped for 30 s and wakes: evicted, fenced, back through SYNC",
    words: configuration(400),
    paceMs: 150,
    async run(scenario) {
      const run = scenario.train();
      await scenario.reaches(run, STEP);
      const pid = await scenario.worker("worker-1");
      sendSignal(pid, "SIGSTOP");
      const [since, step] = [Date.now(), run.iteration + 2];
      await scenario.recovers(run, { since, step, limit: "stall" });
      await scenario.reasoned("worker-1 is evicted");
      await pause(since + 30_000 - Date.now());
      sendSignal(pid, "SIGCONT");
      await scenario.logged("stale_message", ({ at, fields }) => at > since && fields.from === "worker-1");
      await returns(scenario, "worker-1", since + 30_000);
      expect(await scenario.worker("worker-1") === pid, "it was started again");
      await scenario.ends(run);
    },
  },
  {
    number: 9,
    name: "a worker's main thread is in a busy loop: evicted by missing beats",
    words: configuration(200),
    paceMs: 100,
    async run(scenario) {
      const fault = `worker-1:compute:${STEP}:busy:16000`;
      const run = scenario.train({ faults: fault });
      const since = await scenario.happened(fault);
      await scenario.recovers(run, { since, step: STEP, limit: "stall" });
      await scenario.reasoned("worker-1 is evicted: it was silent");
      await returns(scenario, "worker-1", since + 16_000);
      await scenario.ends(run);
    },
  },
  {
    number: 10,
    name: "a worker is ten times slower but goes on: kept, with a warning",
    words: configuration(400, { wide: true }),
    paceMs: 0,
    async run(scenario) {
      const run = scenario.train({ workers: 2 });
      await scenario.reaches(run, 5);
      const pid = await scenario.worker("worker-1");
      const before = (await scenario.log()).length;
      const slowed = slow(pid, { runMs: 10, stopMs: 90 });
      await scenario.says(run, "worker-1 is slow");
      await scenario.reaches(run, run.iteration + 5);
      slowed.end();
      const events = (await scenario.log()).slice(before).map(({ event }) => event);
      expect(!events.includes("roster"), "the slow worker was not kept");
      await scenario.ends(run);
    },
  },
];

/** Waits until a worker is a member again, after a copy of another one's state. */
export async function returns(scenario: Scenario, id: string, since: number): Promise<void> {
  await scenario.logged("roster", ({ at, fields }) => {
    const { members, donor } = fields;
    return at > since && Array.isArray(members) && members.includes(id) && donor !== null;
  });
}

/** Lets a process run for a part of the time only. */
function slow(pid: number, { runMs, stopMs }: { runMs: number; stopMs: number }): { end(): void } {
  let ended = false;
  const turn = async () => {
    while (!ended) {
      sendSignal(pid, "SIGSTOP");
      await pause(stopMs);
      sendSignal(pid, "SIGCONT");
      await pause(runMs);
    }
  };
  turn();
  return { end: () => ended = true };
}
