import type { ChaosCase } from "./case.ts";
import { configuration } from "./configuration.ts";
import { join } from "./elastic.ts";
import { Network } from "./network.ts";
import { pause } from "./pause.ts";
import type { Program } from "./program.ts";
import { expect, type Scenario } from "./scenario.ts";
import { returns } from "./worker_cases.ts";

const PORT = 29_500;

/** A step moves 1.8 MB to and from each machine at least. */
const SLOW_STEP_MS = 1_000;

const COMMIT_STEP = 100;
/** The coordinator is busy between a decision and its COMMITs, so that the links are down by the time they leave. */
const HELD_COMMIT = `coordinator:decided:${COMMIT_STEP}:busy:500`;

/** Long enough for a network that is down for a while. */
const long = { needs: ["namespaces"] as const, words: configuration(400), paceMs: 150 };

/** A run over three machines: the coordinator and worker-0 on the first, far-1 and far-2 on the others. */
interface Machines {
  readonly network: Network;
  readonly run: Program;
}

/** Does something to a network on which a run goes on. */
function onNetwork(
  disturb: (scenario: Scenario, machines: Machines) => Promise<void>,
  { faults, prepare }: { faults?: string; prepare?(network: Network): Promise<void> } = {},
) {
  return async (scenario: Scenario) => {
    await using network = await Network.make(3);
    await prepare?.(network);
    const endpoint = `${network.address(0)}:${PORT}`;
    await scenario.ran(["keygen", `--out=${scenario.path("keys")}`]);
    const words = ["--nnodes=1:3", `--rdzv_endpoint=${endpoint}`, `--keys=${scenario.path("keys")}`];
    const run = scenario.train({ workers: 1, words, faults, through: network.on(0) });
    await scenario.says(run, "parameters");
    for (const machine of [1, 2]) {
      const name = `far-${machine}`;
      join(scenario, { endpoint, keys: scenario.path("keys") }, {
        words: [`--id=${name}`, `--host=${name}`],
        through: network.on(machine),
      });
    }
    await scenario.logged(
      "roster",
      ({ fields }) => Array.isArray(fields.members) && fields.members.length === 3,
    );
    await scenario.reaches(run, run.iteration + 3);
    await disturb(scenario, { network, run });
    await scenario.ends(run);
  };
}

/** Faults of the network: 16 to 20 and 36. */
export const networkCases: readonly ChaosCase[] = [
  {
    ...long,
    number: 16,
    name: "a link is down for 2 s",
    run: onNetwork(async (scenario, { network, run }) => {
      await network.setLink(1, "down");
      const [since, step] = [Date.now(), run.iteration + 2];
      await pause(2_000);
      await network.setLink(1, "up");
      await scenario.recovers(run, { since, step, limit: "stall" });
    }),
  },
  {
    ...long,
    number: 17,
    name: "a link is down for 15 s: evicted, and back",
    run: onNetwork(async (scenario, { network, run }) => {
      await network.setLink(1, "down");
      const [since, step] = [Date.now(), run.iteration + 2];
      await scenario.recovers(run, { since, step, limit: "stall" });
      await scenario.reasoned("far-1 is ");
      await pause(since + 15_000 - Date.now());
      await network.setLink(1, "up");
      await returns(scenario, "far-1", since + 15_000);
    }),
  },
  {
    ...long,
    number: 18,
    name: "a partition in one direction: what a worker sends is lost",
    run: onNetwork(async (scenario, { network, run }) => {
      await network.block(1, 0);
      const [since, step] = [Date.now(), run.iteration + 2];
      await scenario.recovers(run, { since, step, limit: "stall" });
      await network.unblock(1, 0);
      await returns(scenario, "far-1", since);
    }),
  },
  {
    ...long,
    number: 19,
    name: "a partition between two workers only: one is evicted, and the reason names the link",
    run: onNetwork(async (scenario, { network, run }) => {
      await network.block(1, 2);
      await network.block(2, 1);
      const [since, step] = [Date.now(), run.iteration + 2];
      await scenario.recovers(run, { since, step, limit: "stall" });
      const { fields } = await scenario.reasoned("link between");
      const reason = String(fields.reason);
      expect(reason.includes("far-1") && reason.includes("far-2"), `the reason is another: ${reason}`);
      await network.unblock(1, 2);
      await network.unblock(2, 1);
      await scenario.logged("roster", ({ at, fields }) => {
        return at > Date.now() - 1_000 && Array.isArray(fields.members) && fields.members.length === 3;
      });
    }),
  },
  {
    number: 20,
    name: "10 Mbit/s: slow, correct",
    needs: ["namespaces"],
    words: configuration(60, { wide: true, every: 60 }),
    paceMs: 400,
    run: onNetwork(async (scenario, { network, run }) => {
      const before = (await scenario.log()).length;
      await scenario.fullSpeed();
      const [began, first] = [Date.now(), run.iteration];
      await scenario.reaches(run, first + 8, 120_000);
      const stepMs = (Date.now() - began) / (run.iteration - first);
      scenario.notes.push(`a step took ${(stepMs / 1000).toFixed(2)} s`);
      expect(stepMs > SLOW_STEP_MS, "the network was not slow");
      const events = (await scenario.log()).slice(before).map(({ event }) => event);
      expect(!events.includes("roster"), `members changed: ${events.join(", ")}`);
      for (const machine of [0, 1, 2]) await network.unlimit(machine);
    }, {
      async prepare(network) {
        for (const machine of [0, 1, 2]) await network.limit(machine, "10mbit");
      },
    }),
  },
  {
    ...long,
    number: 36,
    name: "links are down for 3 s with COMMIT in the pipe: progress within 12 s",
    run: onNetwork(async (scenario, { network, run }) => {
      const since = await scenario.happened(HELD_COMMIT);
      await Promise.all([network.setLink(1, "down"), network.setLink(2, "down")]);
      await pause(since + 3_000 - Date.now());
      await Promise.all([network.setLink(1, "up"), network.setLink(2, "up")]);
      await scenario.recovers(run, { since, step: COMMIT_STEP + 1, limit: "stall" });
    }, { faults: HELD_COMMIT }),
  },
];
