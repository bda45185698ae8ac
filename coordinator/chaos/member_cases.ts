import { z } from "zod";
import type { ChaosCase } from "./case.ts";
import { configuration } from "./configuration.ts";
import { join, meeting } from "./elastic.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import { expect, type Scenario } from "./scenario.ts";
import { death, returns } from "./worker_cases.ts";

/** The step at which faults happen. */
const STEP = 12;

/** Faults of joining, and of members in decisions: 25, 26, 30, 31 and 34. */
export const memberCases: readonly ChaosCase[] = [
  {
    number: 25,
    name: "a second worker of one name: E_DUPLICATE_ID, and the first one unharmed",
    words: configuration(120),
    paceMs: 60,
    async run(scenario) {
      const at = meeting();
      const run = scenario.train({ workers: 2, words: at.words });
      await scenario.reaches(run, STEP);
      const [pid, before] = [await scenario.worker("worker-1"), (await scenario.log()).length];
      await refused(scenario, "E_DUPLICATE_ID", join(scenario, at, { words: ["--id=worker-1"] }));
      const rosters = (await scenario.log()).slice(before).filter(({ event }) => event === "roster");
      expect(rosters.length === 0, "the first one was no member for a while");
      const now = (await scenario.processes()).find(({ worker }) => worker === "worker-1");
      expect(now?.pid === pid, "the first one has ended");
      await scenario.ends(run);
    },
  },
  {
    number: 26,
    name: "the donor dies in the middle of a SYNC: another donor",
    words: configuration(120, { wide: true, every: 120 }),
    paceMs: 60,
    async run(scenario) {
      const fault = "worker-0:give:*:kill:1";
      const run = scenario.train({ faults: `worker-2:compute:${STEP}:kill,${fault}` });
      const since = await scenario.happened(fault);
      await scenario.recovers(run, { since, step: run.iteration + 1, limit: "death" });
      await scenario.logged("roster", ({ at, fields }) => at > since && fields.donor === "worker-1");
      await returns(scenario, "worker-2", since);
      await scenario.ends(run);
    },
  },
  {
    number: 30,
    name: "an unknown key, another run, another configuration: E_KEY, E_RUN, E_CONFIG_HASH",
    words: configuration(150),
    paceMs: 60,
    async run(scenario) {
      const at = meeting();
      const run = scenario.train({ workers: 2, words: at.words });
      await scenario.reaches(run, STEP);
      const before = (await scenario.log()).length;
      const strange = [`--keys=${await unknownKey(scenario)}`, `--rdzv_endpoint=${at.endpoint}`];
      await refused(scenario, "E_KEY", scenario.start(["worker", ...strange]));
      await refused(scenario, "E_RUN", join(scenario, at, { words: ["--rdzv_id=another"] }));
      const other = scenario.train({ workers: 2, resumes: true, words: ["--n_embd=48"] });
      await refused(scenario, "E_CONFIG_HASH", other);
      const rosters = (await scenario.log()).slice(before).filter(({ event }) => event === "roster");
      expect(rosters.length === 0, "the run was disturbed");
      await scenario.ends(run);
    },
  },
  {
    number: 31,
    name: "a worker dies between COMMIT and its APPLIED: no member applies the step twice",
    words: configuration(60),
    paceMs: 40,
    run: death(`worker-1:applied:${STEP}:kill`, { step: STEP + 1 }),
  },
  {
    number: 34,
    name:
      "a member stopped in the middle of a copy into shared memory wakes after its eviction: nothing is corrupted",
    words: configuration(150, { wide: true }),
    paceMs: 100,
    async run(scenario) {
      const fault = `worker-1:frame:${STEP}:stop`;
      const run = scenario.train({ faults: fault });
      const since = await scenario.happened(fault);
      await scenario.recovers(run, { since, step: STEP, limit: "stall" });
      await scenario.reasoned("worker-1 is evicted");
      await scenario.reaches(run, STEP + 5);
      const woken = Date.now();
      sendSignal(await scenario.worker("worker-1"), "SIGCONT");
      await returns(scenario, "worker-1", woken);
      await scenario.ends(run);
    },
  },
];

/** A key that the run does not know, in a file with the run's own public one: whoever has that may knock. */
async function unknownKey(scenario: Scenario): Promise<string> {
  await scenario.ran(["keygen", "--out=strange"]);
  const [path, own] = ["strange", "run/keys"].map((folder) => scenario.path(folder, "worker.key"));
  const [strange, { coordinator }] = [await readJson(path), await readJson(own)];
  await Deno.writeTextFile(path, JSON.stringify({ ...strange, coordinator }));
  return path;
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(await Deno.readTextFile(path)));
}

/** Waits until a program ends with a code. */
async function refused(
  scenario: Scenario,
  code: string,
  program: ReturnType<Scenario["start"]>,
): Promise<void> {
  await scenario.until(`the end of ${program.words[0]} with ${code}`, () => program.isOver || null, 20_000);
  const ended = await program.ended;
  expect(
    ended.code === 1 && ended.err.includes(`error ${code}: `),
    `${code} was expected: ${program.lastWords}`,
  );
}
