import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import type { ChaosCase } from "./case.ts";
import { configuration } from "./configuration.ts";
import { expect, type Scenario } from "./scenario.ts";
import { SmallDisk } from "./small_disk.ts";

/** A checkpoint of the small model takes 175 kB. */
const TOO_LITTLE = 60_000;

/** Faults of the disk, and signals that end a run: 27 to 29 and 38. */
export const diskCases: readonly ChaosCase[] = [
  {
    number: 27,
    name:
      "the disk is full: E_NO_SPACE, training goes on; where the ledger finds no place, a pause and then 75",
    needs: ["mount"],
    words: configuration(200),
    paceMs: 40,
    async run(scenario) {
      await fullCheckpoints(scenario);
      await fullLedger(scenario);
      await scenario.ends(scenario.train({ workers: 2, resumes: true }));
    },
  },
  {
    number: 28,
    name: "killed at every call of a checkpoint, and a flipped byte in it: the one before loads",
    words: configuration(20, { every: 10 }),
    paceMs: 0,
    async run(scenario) {
      const dying = scenario.train({ workers: 1, faults: "coordinator:decided:12:kill" });
      expect((await dying.ended).code !== 0, `it was not killed: ${dying.lastWords}`);
      let [kills, code] = [0, -1];
      for (; code !== 0; kills++) {
        const faults = `coordinator:disk:${kills}:kill`;
        const program = scenario.train({ workers: 1, resumes: true, faults });
        ({ code } = await program.ended);
        expect([0, 137].includes(code), `after ${kills} kills it ended with ${code}: ${program.lastWords}`);
        await latestVerifies(scenario);
      }
      scenario.notes.push(`killed at each of ${kills - 1} calls`);
      await damage(scenario, "step-00000020");
      const resumed = scenario.train({ workers: 1, resumes: true });
      const { err } = await scenario.ends(resumed);
      expect(/E_CHECKPOINT_CORRUPT: .*step-00000020/.test(err), `the damage was not told: ${err}`);
      expect(resumed.text.out.includes("from step 10"), "it did not go on from the checkpoint before");
    },
  },
  {
    number: 29,
    name: "SIGTERM with time to save: saves and leaves; without: the checkpoint before is valid",
    words: configuration(100),
    paceMs: 40,
    async run(scenario) {
      const first = scenario.train({ workers: 2 });
      await scenario.reaches(first, 25);
      first.kill("SIGTERM");
      const since = Date.now();
      const { out } = await scenario.ends(first, 130);
      const [, step] = /stopped after step (\d+)/.exec(out) ?? [];
      const found = await latestVerifies(scenario);
      expect(
        found === Number(step),
        `the newest checkpoint is of step ${found}, and it stopped after ${step}`,
      );
      expect(Date.now() - since < 10_000, "it took longer than the 10 s of grace");
      await scenario.endsAllProcesses();
      await scenario.slowDown();
      const second = scenario.train({ workers: 2, resumes: true });
      await scenario.reaches(second, 50);
      second.kill("SIGTERM");
      await scenario.says(second, "interrupted");
      second.kill("SIGKILL");
      await second.ended;
      await latestVerifies(scenario);
      await scenario.endsAllProcesses();
      await scenario.ends(scenario.train({ workers: 2, resumes: true }));
    },
  },
  {
    number: 38,
    name: "killed at step 500 with a checkpoint of step 400: the replay gives the ledger's hashes",
    words: configuration(520, { every: 400 }),
    paceMs: 0,
    async run(scenario) {
      const first = scenario.train({ workers: 1, faults: "coordinator:decided:500:kill" });
      expect((await first.ended).code === 137, `it was not killed: ${first.lastWords}`);
      const second = scenario.train({ workers: 1, resumes: true, words: ["--deterministic=true"] });
      await scenario.ends(second);
      expect(second.iterations.has(400) && !second.iterations.has(399), "it did not replay from step 400 on");
      const ledger = await Deno.readTextFile(scenario.path("run", "ledger-2.jsonl"));
      const steps = [...ledger.matchAll(/"step":(\d+),/g)].map(([, step]) => Number(step));
      expect(
        steps[0] === 501 && steps.length === 19,
        `the replay wrote lines: ${steps.slice(0, 3).join(", ")}, …`,
      );
    },
  },
];

/** A full disk under `checkpoints/`: training goes on, LATEST stays; with room again, the next checkpoint is there. */
async function fullCheckpoints(scenario: Scenario): Promise<void> {
  const run = scenario.train({ workers: 2 });
  await scenario.reaches(run, 5);
  await using disk = await SmallDisk.mount(scenario.path("run", "checkpoints"));
  await scenario.says(run, "step-00000020");
  disk.fill({ leave: TOO_LITTLE });
  await scenario.says(run, "warning E_NO_SPACE");
  await scenario.reaches(run, 45);
  expect(await latestVerifies(scenario) === 20, "LATEST has moved");
  disk.free();
  await scenario.says(run, "step-00000060");
  run.kill("SIGKILL");
  await run.ended;
  await scenario.endsAllProcesses();
  await copyAway(scenario);
}

/** Puts what is on the small disk where it will be once that is gone. */
async function copyAway(scenario: Scenario): Promise<void> {
  const [from, to] = [scenario.path("run", "checkpoints"), scenario.path("saved")];
  const { success } = await new Deno.Command("cp", { args: ["-r", from, to] }).output();
  expect(success, "the checkpoints could not be copied");
}

async function fullLedger(scenario: Scenario): Promise<void> {
  await Deno.remove(scenario.path("run", "checkpoints"), { recursive: true });
  await Deno.rename(scenario.path("saved"), scenario.path("run", "checkpoints"));
  await Deno.rename(scenario.path("run"), scenario.path("moved"));
  const disk = await SmallDisk.mount(scenario.path("run"));
  try {
    const args = ["-r", `${scenario.path("moved")}/.`, scenario.path("run")];
    expect(
      (await new Deno.Command("cp", { args }).output()).success,
      "the run does not fit on the small disk",
    );
    const run = scenario.train({ workers: 2, resumes: true });
    await scenario.reaches(run, 70);
    disk.fill({ leave: 0 });
    await scenario.says(run, "the step waits");
    const step = run.iteration;
    await scenario.ends(run, 75, "E_LEDGER");
    expect(run.iteration === step, "a step was made that is not in the ledger");
    disk.free();
    await scenario.slowDown();
    await Deno.remove(scenario.path("moved"), { recursive: true });
    const back = ["-r", scenario.path("run"), scenario.path("moved")];
    expect((await new Deno.Command("cp", { args: back }).output()).success, "the run could not be copied");
  } finally {
    await disk[Symbol.asyncDispose]();
  }
  await Deno.remove(scenario.path("run"), { recursive: true });
  await Deno.rename(scenario.path("moved"), scenario.path("run"));
}

/** The step of the newest checkpoint, which must verify. */
async function latestVerifies(scenario: Scenario): Promise<number> {
  const { step, warnings } = await new CheckpointStore(scenario.path("run", "checkpoints")).load("latest");
  expect(warnings.length === 0, `a checkpoint is damaged: ${warnings.join("; ")}`);
  return step;
}

async function damage(scenario: Scenario, step: string): Promise<void> {
  const path = scenario.path("run", "checkpoints", step, "model.safetensors");
  const bytes = await Deno.readFile(path);
  bytes[Math.floor(bytes.length * 0.7)] ^= 1;
  await Deno.writeFile(path, bytes);
}
