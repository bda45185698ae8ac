import type { ChaosCase } from "./case.ts";
import { configuration } from "./configuration.ts";
import { join, meeting } from "./elastic.ts";
import { pause } from "./pause.ts";
import { expect, type Scenario } from "./scenario.ts";

/** The step at which faults happen: a checkpoint of step 20 is there by then. */
const STEP = 30;

const short = { words: configuration(80), paceMs: 40 };

/** Kills the coordinator at a point of a step and starts another one, which must make `step` within the limit. */
function restart(fault: string, { step = STEP, workers = 2 }: { step?: number; workers?: number } = {}) {
  return async (scenario: Scenario) => {
    const { words } = meeting();
    const first = scenario.train({ workers, words, faults: fault });
    await scenario.happened(fault);
    await first.ended;
    const before = await scenario.processes();
    const since = Date.now();
    const second = scenario.train({ workers, resumes: true });
    await scenario.recovers(second, { since, step, limit: "restart" });
    for (const { pid, worker } of before.filter(({ worker }) => worker !== null)) {
      expect(await scenario.worker(worker ?? "") === pid, `${worker} was started again though it lived`);
    }
    await scenario.ends(second);
  };
}

/** Faults of coordinators: 11 to 15, 32, 33 and 37. */
export const coordinatorCases: readonly ChaosCase[] = [
  {
    number: 11,
    name: "the coordinator is killed in REDUCE, and started again",
    ...short,
    run: restart(`coordinator:reduce:${STEP}:kill`),
  },
  {
    number: 12,
    name: "the coordinator is killed between the last PREPARED and COMMIT",
    ...short,
    run: restart(`coordinator:prepared:${STEP}:kill`),
  },
  {
    number: 13,
    name: "the coordinator is killed after one COMMIT was delivered",
    ...short,
    run: restart(`coordinator:delivered:${STEP}:kill:20`, { step: STEP + 1 }),
  },
  {
    number: 14,
    name: "the coordinator never comes back: workers end with 75 at the limit",
    ...short,
    async run(scenario) {
      const at = meeting();
      const words = [...at.words, "--patience=5"];
      const run = scenario.train({ workers: 1, words });
      await scenario.says(run, "parameters");
      const worker = join(scenario, at, { words: ["--id=by-hand", "--patience=5"] });
      await scenario.logged("roster", ({ fields }) => JSON.stringify(fields.members).includes("by-hand"));
      await scenario.reaches(run, STEP);
      run.kill("SIGKILL");
      const since = Date.now();
      await scenario.ends(worker, 75, "E_TOO_FEW");
      const waited = Date.now() - since;
      expect(waited > 4_000 && waited < 12_000, `it waited ${waited} ms, and 5 s are its limit`);
      await scenario.endsAllProcesses();
      await scenario.ends(scenario.train({ workers: 2, resumes: true, words: ["--patience=60"] }));
    },
  },
  {
    number: 15,
    name: "two coordinators for one run: the older gets E_STALE",
    ...short,
    paceMs: 150,
    async run(scenario) {
      const older = scenario.train({ workers: 2 });
      await scenario.reaches(older, STEP);
      const newer = scenario.train({ workers: 2, resumes: true });
      await scenario.until("the older one's end", () => older.isOver || null, 10_000);
      const { code, err } = await older.ended;
      expect(code === 1 && err.includes("error E_STALE: "), `the older one ended with ${code}: ${err}`);
      await scenario.ends(newer);
    },
  },
  {
    number: 32,
    name:
      "the coordinator dies between two COMMITs: the next epoch sends the step again, and it is applied once",
    ...short,
    async run(scenario) {
      await restart(`coordinator:delivered:${STEP}:kill:20`, { step: STEP + 1, workers: 3 })(scenario);
      const lines = await decisions(scenario, STEP);
      expect(lines.length === 1, `step ${STEP} was decided ${lines.length} times`);
    },
  },
  {
    number: 33,
    name: "an old coordinator wakes after a new one has committed 50 steps: nothing moves",
    words: configuration(140),
    paceMs: 40,
    async run(scenario) {
      const older = scenario.train({ workers: 2 });
      await scenario.reaches(older, STEP);
      older.kill("SIGSTOP");
      const newer = scenario.train({ workers: 2, resumes: true });
      await scenario.reaches(newer, STEP + 50);
      older.kill("SIGCONT");
      await scenario.until("the older one's end", () => older.isOver || null, 10_000);
      const { code, err } = await older.ended;
      expect(code === 1 && err.includes("error E_STALE: "), `the older one ended with ${code}: ${err}`);
      const rosters = (await scenario.log()).filter(({ event, fields }) =>
        event === "roster" && fields.epoch === 2
      );
      expect(rosters.length === 1, `the newer one's members moved: ${rosters.length} rosters`);
      await scenario.ends(newer);
    },
  },
  {
    number: 37,
    name: "the coordinator is stopped for 15 s: it evicts nobody when it wakes",
    ...short,
    async run(scenario) {
      const run = scenario.train({ words: meeting().words });
      await scenario.reaches(run, 12);
      const before = (await scenario.log()).length;
      run.kill("SIGSTOP");
      await pause(15_000);
      const step = run.iteration + 2;
      run.kill("SIGCONT");
      await scenario.recovers(run, { since: Date.now(), step, limit: "stall" });
      const events = (await scenario.log()).slice(before).map(({ event }) => event);
      expect(!events.includes("roster"), `members changed: ${events.join(", ")}`);
      await scenario.ends(run);
    },
  },
];

/** The lines of all ledgers that decide a step. */
async function decisions(scenario: Scenario, step: number): Promise<string[]> {
  const names = [...Deno.readDirSync(scenario.path("run"))].map(({ name }) => name);
  const ledgers = names.filter((name) => name.startsWith("ledger-"));
  const texts = await Promise.all(ledgers.map((name) => Deno.readTextFile(scenario.path("run", name))));
  return texts.flatMap((text) => text.split("\n")).filter((line) => line.includes(`"step":${step},`));
}
