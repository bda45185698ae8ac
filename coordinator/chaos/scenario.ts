import { join } from "node:path";
import { z } from "zod";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { FAULT_VARIABLES, markOf, PACE_FILE, parseFaults } from "../../shared/faults.ts";
import { sha256File } from "../../shared/hash.ts";
import { reportLedger } from "../ledger_report.ts";
import { type Process, processesWith } from "./processes.ts";
import { sendSignal } from "../../shared/send_signal.ts";
import { type Ended, Program } from "./program.ts";

/** What a case expected has not come to pass. */
export class CaseFailed extends Error {}

/** Throws unless `holds`. */
export function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new CaseFailed(what);
}

/** From a fault to the next step, in ms, and one step more. */
export const LIMITS = { death: 1_000, stall: 12_000, restart: 3_000 } as const;

/** A line of a run's log. */
export interface Logged {
  /** In ms since 1970. */
  readonly at: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const recordSchema = z.object({
  time: z.iso.datetime(),
  event: z.string(),
  fields: z.record(z.string(), z.unknown()),
});

export interface ScenarioOptions {
  /** The configuration of its run. */
  readonly words: readonly string[];
  /** A slow step of this run where nothing disturbs it, in ms. */
  readonly stepMs: number;
  /** Steps take so long at least until `fullSpeed`, so that there is time to disturb them; in ms. */
  readonly paceMs: number;
  /** Once it is aborted nothing is waited for any more. */
  readonly signal?: AbortSignal;
}

export interface StartOptions {
  /** As LOCKSTEP_FAULT. */
  readonly faults?: string;
  readonly through?: readonly string[];
}

export interface TrainOptions extends StartOptions {
  readonly workers?: number;
  /** Further words of its command line. */
  readonly words?: readonly string[];
  readonly resumes?: boolean;
}

/** How often something awaited is looked for, in ms. */
const LOOK_MS = 10;
const PATIENCE_MS = 60_000;
/** What a case leaves to be made to the end of a run may take so long, in ms. */
const END_MS = 600_000;
/** How long processes may take to be gone, in ms. */
const GONE_MS = 3_000;

/** A folder for one case: its run lies in `run`, and everything that it starts is known by it and ends with it. */
export class Scenario implements AsyncDisposable {
  /** What was measured, for the report. */
  readonly notes: string[] = [];
  readonly #programs: Program[] = [];
  #isKept = false;
  readonly #temporary: string;
  readonly #faultFolder: string;

  private constructor(readonly dir: string, private readonly options: ScenarioOptions) {
    this.#temporary = join(dir, "t");
    this.#faultFolder = join(dir, "faults");
  }

  static async make(options: ScenarioOptions): Promise<Scenario> {
    const scenario = new Scenario(await Deno.makeTempDir({ prefix: "chaos-" }), options);
    await Deno.mkdir(scenario.#temporary);
    await Deno.mkdir(scenario.#faultFolder);
    await Deno.writeTextFile(join(scenario.#faultFolder, PACE_FILE), "");
    return scenario;
  }

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  /** Starts the program with `words`. */
  start(words: readonly string[], { faults, through }: StartOptions = {}): Program {
    const pace = this.options.paceMs > 0 ? [`*:compute:*:pace:${this.options.paceMs}`] : [];
    const all = [...pace, ...faults === undefined ? [] : [faults]].join(",");
    const env: Record<string, string> = { TMPDIR: this.#temporary };
    if (all !== "") {
      env[FAULT_VARIABLES.faults] = all;
      env[FAULT_VARIABLES.folder] = this.#faultFolder;
    }
    const program = new Program(words, { cwd: this.dir, env, through });
    this.#programs.push(program);
    return program;
  }

  /** Starts or resumes the case's run. */
  train({ workers = 3, words = [], resumes = false, ...options }: TrainOptions = {}): Program {
    const what = resumes ? ["--init_from=resume"] : this.options.words;
    const all = ["train", ...what, `--nproc_per_node=${workers}`, "--out_dir=run", ...words];
    return this.start(all, options);
  }

  /** From now on steps are as slow as at the start. */
  async slowDown(): Promise<void> {
    await Deno.writeTextFile(join(this.#faultFolder, PACE_FILE), "");
  }

  /** From now on steps are as fast as they can be. */
  async fullSpeed(): Promise<void> {
    await Deno.remove(join(this.#faultFolder, PACE_FILE)).catch(() => {});
  }

  /** Waits until `look` gives something. Fails after `ms`. */
  async until<T>(what: string, look: () => T | null | Promise<T | null>, ms = PATIENCE_MS): Promise<T> {
    for (const began = Date.now();;) {
      expect(!this.options.signal?.aborted, "interrupted");
      const found = await look();
      if (found !== null && found !== false) return found;
      expect(Date.now() - began < ms, `${what}: not within ${ms / 1000} s; ${this.#lastWords()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Waits until a program has told of step `step`. */
  async reaches(program: Program, step: number, ms?: number): Promise<void> {
    await this.until(`step ${step}`, () => {
      expect(
        !program.isOver || program.iteration >= step,
        `it ended before step ${step}: ${program.lastWords}`,
      );
      return program.iteration >= step || null;
    }, ms);
  }

  /** Waits until a program has written `text`. */
  async says(program: Program, text: string, ms?: number): Promise<void> {
    const { text: written } = program;
    await this.until(`"${text}"`, () => {
      const has = written.out.includes(text) || written.err.includes(text);
      expect(has || !program.isOver, `it ended without saying "${text}": ${program.lastWords}`);
      return has || null;
    }, ms);
  }

  /** Waits until a planned fault has happened to `who`, and gives when. */
  happened(fault: string, who = fault.split(":")[0]): Promise<number> {
    const [planned] = parseFaults(fault);
    const path = join(this.#faultFolder, markOf(planned, who));
    return this.until(`the fault ${fault}`, async () => {
      const text = await Deno.readTextFile(path).catch(() => "");
      return text === "" ? null : Number(text);
    });
  }

  /** The lines of the run's log so far. */
  async log(): Promise<Logged[]> {
    const text = await Deno.readTextFile(this.path("run", "log.jsonl")).catch(() => "");
    const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const { time, event, fields } = recordSchema.parse(JSON.parse(line));
      return { at: Date.parse(time), event, fields };
    });
  }

  /** Waits for a line of the run's log. */
  logged(event: string, matches: (line: Logged) => boolean = () => true, ms?: number): Promise<Logged> {
    return this.until(`${event} in the log`, async () => {
      const lines = await this.log();
      return lines.find((line) => line.event === event && matches(line)) ?? null;
    }, ms);
  }

  /** The newest line of the log with `text` in its reason. */
  reasoned(text: string, ms?: number): Promise<Logged> {
    return this.until(`"${text}" as a reason in the log`, async () => {
      const lines = await this.log();
      return lines.findLast(({ fields }) => String(fields.reason ?? fields.message).includes(text)) ?? null;
    }, ms);
  }

  /** The process of a worker. */
  async worker(id: string): Promise<number> {
    const { pid } = await this.until(`the process of ${id}`, async () => {
      const all = await this.processes();
      return all.find(({ worker }) => worker === id) ?? null;
    });
    return pid;
  }

  /** Everything that this scenario has started and that lives. */
  processes(): Promise<Process[]> {
    return processesWith(`TMPDIR=${this.#temporary} `);
  }

  /**
   * Waits until a program has made step `step` after a fault, and fails where that took longer than `limit` and a step.
   */
  async recovers(
    program: Program,
    { since, step, limit }: { since: number; step: number; limit: keyof typeof LIMITS },
  ): Promise<void> {
    const allowed = LIMITS[limit] + this.options.stepMs + this.options.paceMs;
    await this.reaches(program, step, allowed + PATIENCE_MS);
    const at = Math.min(...[...program.iterations].filter(([made]) => made >= step).map(([, at]) => at));
    const took = `step ${step} was made ${((at - since) / 1000).toFixed(2)} s after the fault`;
    this.notes.push(`${took} (at most ${(allowed / 1000).toFixed(2)} s)`);
    expect(at - since <= allowed, `${took}, and ${(allowed / 1000).toFixed(2)} s are allowed`);
  }

  /** Lets a program end by itself, at full speed, and fails unless it does with `code` and, where given, an error of that name. */
  async ends(program: Program, code = 0, error?: string): Promise<Ended> {
    await this.fullSpeed();
    await this.until("the end", () => program.isOver || null, END_MS);
    const ended = await program.ended;
    expect(ended.code === code, `it ended with ${ended.code}, not ${code}: ${program.lastWords}`);
    const isNamed = error === undefined || ended.err.includes(`error ${error}: `);
    expect(isNamed, `it ended without naming ${error}: ${program.lastWords}`);
    return ended;
  }

  /** SHA-256 of the run's newest weights. */
  async weights(): Promise<string> {
    const { path } = await new CheckpointStore(this.path("run", "checkpoints")).load("latest");
    return await sha256File(join(path, "model.safetensors"));
  }

  /** Runs the program to its end, which must be a good one. */
  async ran(words: readonly string[]): Promise<void> {
    const program = this.start(words);
    const { code } = await program.ended;
    expect(code === 0, `${words.join(" ")} ended with ${code}: ${program.lastWords}`);
  }

  /** Fails unless the ledger proves the run, and nothing is left of its processes and sockets. */
  async proves(steps: number): Promise<void> {
    const report = await reportLedger(this.path("run"));
    expect(report.problem === null, `the ledger: ${report.problem}`);
    expect(report.steps === steps, `the ledger has ${report.steps} steps, not ${steps}`);
    await this.endsAllProcesses();
    const sockets = [...Deno.readDirSync(this.#temporary)].map(({ name }) => name);
    expect(!sockets.some((name) => name.startsWith("lockstep-")), `sockets are left: ${sockets.join(", ")}`);
  }

  /** Waits until none of its processes is left. */
  async endsAllProcesses(): Promise<void> {
    await this.until("no process is left", async () => {
      const left = await this.processes();
      return left.length === 0 || null;
    }, GONE_MS);
  }

  /** Its folder is to stay when it ends. */
  keep(): string {
    this.#isKept = true;
    return this.dir;
  }

  #lastWords(): string {
    return this.#programs.at(-1)?.lastWords ?? "";
  }

  /** Ends all that it has started, and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (;;) {
      const left = await this.processes();
      if (left.length === 0) break;
      for (const { pid } of left) sendSignal(pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await Promise.all(this.#programs.map(({ ended }) => ended));
    if (!this.#isKept) await Deno.remove(this.dir, { recursive: true });
  }
}
