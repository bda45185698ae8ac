import assert from "node:assert/strict";
import { configuration } from "../../coordinator/chaos/configuration.ts";
import { join, meeting } from "../../coordinator/chaos/elastic.ts";
import { pause } from "../../coordinator/chaos/pause.ts";
import type { Process } from "../../coordinator/chaos/processes.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import type { Program } from "../../coordinator/chaos/program.ts";
import { References } from "../../coordinator/chaos/run_case.ts";
import { Scenario } from "../../coordinator/chaos/scenario.ts";
import { CounterRandom } from "../../shared/random.ts";

/** How long faults come, in ms. */
const SOAK_MS = Number(Deno.env.get("LOCKSTEP_SOAK_MINUTES") ?? 20) * 60_000;
const STEPS = 8_000;
const WORDS = configuration(STEPS, { every: 200 });
const PACE_MS = 150;
const WORKERS = 3;
/** Faults come so far apart, in ms. */
const [SOONEST_MS, LATEST_MS] = [5_000, 15_000];
/** A process is measured first when it is so old, in ms: caches are filled then. */
const GROWN_UP_MS = 60_000;
/** What a runtime's own memory may move by. */
const SLACK_BYTES = 25e6;
/** Descriptors that come and go: sockets of a generation, files being written. */
const SLACK_DESCRIPTORS = 12;

/** What a process held, when it was grown up and when it was last seen. */
interface Held {
  readonly worker: string | null;
  readonly since: number;
  first: Holding | null;
  last: Holding;
}

interface Holding {
  readonly bytes: number;
  readonly descriptors: number;
}

const seed = Number(Deno.env.get("LOCKSTEP_SOAK_SEED") ?? Math.floor(Math.random() * 2 ** 31));

Deno.test(
  `a run with a random fault every ${SOONEST_MS / 1000} to ${LATEST_MS / 1000} s for ${
    SOAK_MS / 60_000
  } minutes ends with the bits of an undisturbed one, and holds its memory (seed ${seed})`,
  async () => {
    const { hash: expected } = await new References().of(WORDS);
    await using scenario = await Scenario.make({ words: WORDS, stepMs: 0, paceMs: PACE_MS });
    const soak = new Soak(scenario);
    await soak.run();
    const hash = await scenario.weights();
    const report = soak.report();
    console.log(report.join("\n"));
    assert.equal(hash, expected);
    await scenario.proves(STEPS);
    soak.provesNothingGrew();
  },
);

/** A run and what is done to it. */
class Soak {
  readonly #at = meeting();
  readonly #numbers = CounterRandom.fromSeed(seed, "soak");
  #drawn = 0;
  readonly #held = new Map<number, Held>();
  readonly #done = new Map<string, number>();
  #coordinator: Program;
  #guests = 0;

  /** What is done, by name; those that come more often stand there several times. */
  readonly #faults: readonly (readonly [string, () => Promise<void>])[] = [
    ["a worker killed", () => this.#kill(1)],
    ["a worker killed", () => this.#kill(1)],
    ["two workers killed", () => this.#kill(2)],
    ["a worker stopped for 1 to 3 s", () => this.#stop(1_000 + 2_000 * this.#random())],
    ["a worker stopped for 12 to 15 s", () => this.#stop(12_000 + 3_000 * this.#random())],
    ["a guest joins, and leaves or is killed", () => this.#guest()],
    ["the coordinator stopped for 1 to 5 s", () => this.#stopCoordinator()],
    ["the coordinator killed and started again", () => this.#killCoordinator()],
  ];

  constructor(private readonly scenario: Scenario) {
    this.#coordinator = this.#train(false);
  }

  async run(): Promise<void> {
    await this.scenario.reaches(this.#coordinator, 5);
    const end = Date.now() + SOAK_MS;
    while (Date.now() < end) {
      await this.#measureFor(SOONEST_MS + (LATEST_MS - SOONEST_MS) * this.#random());
      const [name, fault] = this.#faults[Math.floor(this.#faults.length * this.#random())];
      this.#done.set(name, (this.#done.get(name) ?? 0) + 1);
      await fault();
      if (this.#coordinator.isOver) throw new Error(`it ended: ${this.#coordinator.lastWords}`);
    }
    await this.#measureFor(SOONEST_MS);
    await this.scenario.ends(this.#coordinator);
  }

  report(): string[] {
    const faults = [...this.#done].map(([name, times]) => `${times} × ${name}`);
    const held = [...this.#held].flatMap(([pid, { worker, first, last }]) => {
      if (first === null) return [];
      const change = `${mb(first.bytes)} → ${mb(last.bytes)} MB, ${first.descriptors} → ${last.descriptors}`;
      return [`${worker ?? "coordinator"} (${pid}): ${change} descriptors`];
    });
    return [`seed ${seed}`, ...faults, ...held];
  }

  /** Of every process that lived long enough. */
  provesNothingGrew(): void {
    const grown = [...this.#held.values()].filter(({ first }) => first !== null);
    assert.ok(grown.length >= 2, "no process lived long enough to be measured");
    for (const { worker, first, last } of grown) {
      if (first === null) continue;
      const who = worker ?? "the coordinator";
      assert.ok(last.bytes <= 1.05 * first.bytes + SLACK_BYTES, `${who} grew to ${mb(last.bytes)} MB`);
      assert.ok(
        last.descriptors <= first.descriptors + SLACK_DESCRIPTORS,
        `${who} holds ${last.descriptors} descriptors, ${first.descriptors} at first`,
      );
    }
  }

  /** In [0, 1). */
  #random(): number {
    return this.#numbers.uniform(this.#drawn++);
  }

  #train(resumes: boolean): Program {
    const words = [...this.#at.words, "--max_restarts=100000"];
    return this.scenario.train({ workers: WORKERS, resumes, words });
  }

  async #measureFor(ms: number): Promise<void> {
    for (const end = Date.now() + ms; Date.now() < end;) {
      for (const process of await this.scenario.processes()) this.#measure(process);
      await pause(Math.min(1_000, Math.max(0, end - Date.now())));
    }
  }

  #measure({ pid, worker }: Process): void {
    const now = Date.now();
    const last = holding(pid);
    if (last === null || (worker === null && pid !== this.#coordinator.pid)) return;
    const held = this.#held.get(pid) ?? { worker, since: now, first: null, last };
    if (held.first === null && now - held.since > GROWN_UP_MS) held.first = last;
    held.last = last;
    this.#held.set(pid, held);
  }

  /** Some of the workers that the run has started, but worker-0, which is to live long. */
  async #workers(count: number): Promise<Process[]> {
    const all = await this.scenario.processes();
    const others = all.filter(({ worker }) => worker !== null && worker !== "worker-0");
    while (others.length > count) others.splice(Math.floor(others.length * this.#random()), 1);
    return others;
  }

  async #kill(count: number): Promise<void> {
    for (const { pid } of await this.#workers(count)) sendSignal(pid, "SIGKILL");
  }

  async #stop(ms: number): Promise<void> {
    const [chosen] = await this.#workers(1);
    if (chosen === undefined) return;
    sendSignal(chosen.pid, "SIGSTOP");
    await pause(ms);
    sendSignal(chosen.pid, "SIGCONT");
  }

  async #guest(): Promise<void> {
    const guest = join(this.scenario, this.#at, { words: [`--id=guest-${++this.#guests}`] });
    await this.#measureFor(5_000 + 5_000 * this.#random());
    guest.kill(this.#random() < 0.5 ? "SIGTERM" : "SIGKILL");
    await guest.ended;
  }

  async #stopCoordinator(): Promise<void> {
    this.#coordinator.kill("SIGSTOP");
    await pause(1_000 + 4_000 * this.#random());
    this.#coordinator.kill("SIGCONT");
  }

  async #killCoordinator(): Promise<void> {
    const step = this.#coordinator.iteration;
    this.#coordinator.kill("SIGKILL");
    await this.#coordinator.ended;
    await pause(1_000 * this.#random());
    this.#coordinator = this.#train(true);
    await this.scenario.reaches(this.#coordinator, step);
  }
}

/** Null once the process is gone. */
function holding(pid: number): Holding | null {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
    if (kilobytes === undefined) return null;
    return { bytes: 1024 * Number(kilobytes), descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length };
  } catch {
    return null;
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}
