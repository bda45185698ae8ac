import { Group, type Group as GroupType } from "../../coordinator/group.ts";
import { runCoordinator } from "../../coordinator/coordinator.ts";
import { Ledger, type LedgerFile } from "../../coordinator/ledger.ts";
import { type Chain, chained, EMPTY_CHAIN, follow } from "../../coordinator/ledger_chain.ts";
import type { StateStore } from "../../coordinator/checkpoints.ts";
import type { Snapshot } from "../../coordinator/snapshot.ts";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { sha256 } from "../../shared/hash.ts";
import { stepScalars } from "../../shared/schedule.ts";
import { runWorker } from "../../worker/worker.ts";
import { type Applied, hash32, SimulatedMember, undisturbed, updated } from "./computation.ts";
import { Network } from "./network.ts";
import { Dice, Process, World } from "./world.ts";

/** What a seed came to. */
export interface Outcome {
  readonly seed: number;
  /** Why it is wrong; null if nothing is. */
  readonly violation: string | null;
  readonly trace: readonly string[];
  /** Faults that were injected, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
}

/** Faults come until here, in ms of simulated time. */
const FAULTS_UNTIL_MS = 60_000;
const MOST_SHARD_MS = 250;
/** After the last fault a run is back at work within so long: a full disk, a stop, a stall, an eviction, a rejoin. */
const CALM_MS = 90_000;

/** Trains in a simulated world that is made, and disturbed, from one seed. */
export async function simulate(
  seed: number,
  { traces = false, liar = false }: {
    traces?: boolean; /** One worker computes otherwise. */
    liar?: boolean;
  } = {},
): Promise<Outcome> {
  const world = new World(new Dice(seed), { traces });
  const run = new SimulatedRun(world, liar);
  run.start();
  await world.run({ untilMs: FAULTS_UNTIL_MS + CALM_MS + run.workMs, isOver: () => run.isOver });
  return {
    seed,
    violation: run.verdict(),
    trace: world.trace,
    faults: run.faults,
    simulatedMs: world.now,
  };
}

/** What survives the coordinator: its disk. */
interface Disk {
  epoch: number;
  readonly ledgers: Map<number, string>;
  readonly checkpoints: Map<number, { stateHash: string; pieces: Uint8Array<ArrayBuffer>[] }>;
  isFull: boolean;
}

class SimulatedRun {
  readonly faults: Record<string, number> = {};
  readonly #network: Network;
  readonly #disk: Disk = { epoch: 0, ledgers: new Map(), checkpoints: new Map(), isFull: false };
  readonly #members = new Map<string, SimulatedMember>();
  readonly #processes = new Map<string, Process>();
  readonly #applied: Applied[] = [];
  readonly #V: number;
  readonly #steps: number;
  /** By step: the states of the same run undisturbed. */
  readonly #expected: string[];
  readonly #workers: number;
  /** Whether somebody sees at once that a worker's process has ended. */
  readonly #isWatched: boolean;
  /** Only messages get lost: then nobody is evicted. */
  readonly #isCalm: boolean;
  #coordinator: { process: Process; group: GroupType } | null = null;
  #violation: string | null = null;
  #finalState: string | null = null;

  constructor(private readonly world: World, private readonly hasLiar: boolean) {
    const { dice } = world;
    this.#V = dice.int(hasLiar ? 2 : 1, 6);
    this.#steps = dice.int(20, 60);
    this.#expected = undisturbed(this.#steps, this.#V);
    this.#workers = dice.int(hasLiar ? 2 : 1, Math.min(5, this.#V + 1));
    this.#isWatched = dice.chance(0.5);
    this.#isCalm = dice.chance(0.2);
    const isBad = dice.chance(0.5) || this.#isCalm;
    this.#network = new Network(world, {
      delayMs: [0.1, dice.pick([1, 5, 40])],
      drop: isBad ? dice.pick([0.01, 0.05]) : 0,
      repeat: isBad ? 0.03 : 0,
      reorder: isBad ? 0.02 : 0,
    });
  }

  /** All steps, made by the slowest of workers alone, and as much again for evaluations. */
  get workMs(): number {
    return 2 * this.#steps * this.#V * MOST_SHARD_MS;
  }

  get isOver(): boolean {
    return this.#violation !== null || this.#finalState !== null;
  }

  verdict(): string | null {
    if (this.#violation !== null) return this.#violation;
    if (this.#finalState === null) return "it made no progress when faults had stopped";
    const expected = this.#expected[this.#steps];
    if (this.#finalState !== expected) return `it ended with state ${this.#finalState}, not ${expected}`;
    return this.#ledgerProblem();
  }

  start(): void {
    this.#startCoordinator();
    for (let i = 0; i < this.#workers; i++) this.#startWorker(`worker-${i}`);
    this.#plan();
  }

  // The coordinator's process

  #startCoordinator(): void {
    const process = new Process(this.world, "coordinator");
    const disk = this.#disk;
    const epoch = ++disk.epoch;
    const { chain, file } = this.#openLedger(process, epoch);
    const config = parseRunConfig({
      ...{ gradient_accumulation_steps: this.#V, max_iters: this.#steps, batch_size: 1 },
      ...{
        eval_interval: this.world.dice.pick([3, 1000]),
        eval_iters: 2,
        eval_items: 0,
        eval_samples: 0,
        decay_lr: false,
        audit_interval: 4,
      },
    }, { source: "the simulation" });
    const last = chain.steps.get(chain.next - 1);
    const ledger = new Ledger(file, chain);
    const group = new Group({
      server: this.#network.serve(process),
      clock: process.clock,
      epoch,
      config,
      configHash: hash32("config"),
      trains: true,
      expected: this.#workers,
      minMembers: 1,
      maxMembers: this.#workers,
      takesOthers: true,
      position: { step: chain.next, stateHash: null },
      decided: last === undefined
        ? null
        : { step: last.step, gradHash: last.grad_hash, ...stepScalars(last.step, config) },
      restore: () => Promise.resolve(this.#newestSnapshot()),
      note: (event, fields) => this.#note(event, fields),
    });
    this.#coordinator = { process, group };
    const fencing = process.clock.every(1_000, () => {
      if (disk.epoch !== epoch) group.fail(new LockstepError("E_STALE", `epoch ${disk.epoch} has begun`));
    });
    runCoordinator({
      group,
      ledger,
      config,
      configHash: hash32("config"),
      store: this.#store(process),
      bestValLoss: null,
      audits: () => true,
      observer: {},
      shouldStop: () => false,
      accept: () => Promise.resolve({ configHash: hash32("config") }),
    }).then(
      ({ stateHash }) => process.do(() => this.#finalState = stateHash),
      (error) => process.do(() => this.#ended(epoch, error)),
    ).finally(fencing);
  }

  #ended(epoch: number, error: unknown): void {
    this.world.note(() => `coordinator of epoch ${epoch} ends: ${error}`);
    if (epoch !== this.#disk.epoch) return; // another has taken over, and this one saw it
    // What a person, or a scheduler, starts again.
    const isForNow = error instanceof LockstepError && (error.exitCode === 75 || error.code === "E_NO_SPACE");
    if (isForNow) return this.#restartCoordinator();
    this.#violation = `the run ended with ${error instanceof Error ? error.stack : error}`;
  }

  #restartCoordinator(): void {
    const old = this.#coordinator;
    old?.process.kill();
    this.world.after(this.world.dice.between(200, 3_000), () => this.#startCoordinator());
  }

  #note(event: string, fields: Record<string, unknown>): void {
    this.world.note(() => `coordinator ${event} ${JSON.stringify(fields)}`);
    const { reason, donor } = fields;
    if (event === "roster" && typeof donor === "string") this.#mayLoseDonor(donor);
    if (
      this.#isCalm && event === "membership" && typeof reason === "string" && reason.includes("is evicted")
    ) {
      this.#violation ??= `a member was evicted though only messages were lost: ${reason}`;
    }
  }

  #openLedger(process: Process, epoch: number): { chain: Chain; file: LedgerFile } {
    const { ledgers } = this.#disk;
    let chain: Chain = EMPTY_CHAIN;
    let end: { epoch: number; bytes: number } | null = null;
    for (const [of, text] of this.#adopted()) {
      const part = follow(text, chain);
      chain = part;
      end = { epoch: of, bytes: part.bytes };
    }
    const opening = chained({ epoch, adopts: end }, chain.last);
    ledgers.set(epoch, `${opening}\n`);
    const file: LedgerFile = {
      append: (line) => {
        if (!process.isAlive) throw new LockstepError("E_STALE", "a dead process writes nothing");
        if (this.#disk.isFull) throw new LockstepError("E_NO_SPACE", "the disk is full");
        ledgers.set(epoch, (ledgers.get(epoch) ?? "") + line);
        if (this.#dieAtAppend > 0 && --this.#dieAtAppend === 0) this.#killCoordinator("at an append");
        if (!process.isAlive) throw new LockstepError("E_STALE", "killed");
      },
      sync: () => Promise.resolve(),
    };
    return { chain: { ...chain, last: sha256(opening) }, file };
  }

  /** Ledgers that count, each as far as the one after it adopts it. */
  #adopted(): [number, string][] {
    const parts: [number, string][] = [];
    let wanted: { epoch: number; bytes: number } | null = null;
    for (const [epoch, text] of [...this.#disk.ledgers].reverse()) {
      if (wanted !== null && epoch !== wanted.epoch) continue;
      parts.unshift([epoch, text.slice(0, wanted?.bytes)]);
      const { adopts } = JSON.parse(text.slice(0, text.indexOf("\n")));
      if (adopts === null) break;
      wanted = adopts;
    }
    return parts;
  }

  #ledgerProblem(): string | null {
    let chain: Chain = EMPTY_CHAIN;
    for (const [epoch, text] of this.#adopted()) {
      const part = follow(text, chain);
      if (part.problem !== null) return `ledger of epoch ${epoch}: ${part.problem}`;
      chain = part;
    }
    return chain.next === this.#steps ? null : `the ledger ends before step ${chain.next} of ${this.#steps}`;
  }

  #newestSnapshot(): Snapshot | null {
    const [step] = [...this.#disk.checkpoints.keys()].sort((a, b) => b - a);
    const found = this.#disk.checkpoints.get(step);
    if (found === undefined) return null;
    return { step, stateHash: found.stateHash, bestValLoss: null, piece: (index) => found.pieces[index] };
  }

  #store(process: Process): StateStore {
    const disk = this.#disk;
    return {
      begin: (step) => {
        const pieces: Uint8Array<ArrayBuffer>[] = [];
        const write = async (bytes: Uint8Array) => {
          await process.sleep(2);
          if (disk.isFull) throw new LockstepError("E_NO_SPACE", "the disk is full");
          pieces.push(new Uint8Array(bytes));
        };
        return Promise.resolve({
          file: () => Promise.resolve({ write }),
          publish: async ({ state }) => {
            await process.sleep(5);
            disk.checkpoints.set(step, { stateHash: state.state_hash, pieces });
            return { path: `step-${step}` };
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        });
      },
    };
  }

  // Workers' processes

  #startWorker(name: string): void {
    const { dice } = this.world;
    const process = new Process(this.world, name);
    this.#processes.set(name, process);
    const member = new SimulatedMember({
      process,
      network: this.#network,
      V: this.#V,
      shardMs: dice.between(10, MOST_SHARD_MS),
      loadMs: dice.between(50, 2_000),
      others: this.#members,
      onApply: (applied) => this.#check(applied),
    });
    member.lies = this.hasLiar && name === "worker-1";
    member.onPartial = (node) => member.announce(node);
    const channel = this.#network.connect(process);
    runWorker(channel, {
      ...{ id: name, localRank: 0, endpoint: `ipc://${name}`, computing: member, reducing: member },
      clock: process.clock,
      snapshot: () => member,
    }).catch((error) => {
      if (!process.isAlive) return;
      this.world.note(() => `${name} ends: ${error}`);
      process.kill();
      this.#processEnds(name, "exit status 1");
    });
  }

  #processEnds(name: string, how: string): void {
    const { dice } = this.world;
    if (this.#isWatched) {
      this.world.after(dice.between(1, 50), () => {
        const coordinator = this.#coordinator;
        coordinator?.process.do(() => coordinator.group.tell({ type: "gone", id: name, how }));
      });
    }
    // Somebody starts it again; where nobody sees ends, under the same name only when it is given up.
    this.world.after(
      dice.between(500, 4_000) + (this.#isWatched ? 0 : 12_000),
      () => this.#startWorker(name),
    );
  }

  /** No two members apply different updates for a step, and none applies what is not in the ledger. */
  #check({ member, step, before, gradient }: Applied): void {
    this.world.note(() => `${member} applies step ${step}`);
    const expected = this.#expected[step + 1];
    if (updated(before, gradient) !== expected && !this.hasLiar) {
      this.#violation ??= `${member} applies another update for step ${step} than the undisturbed run`;
    }
    const other = this.#applied.find((applied) => applied.step === step);
    if (other !== undefined && (other.gradient !== gradient || other.before !== before)) {
      this.#violation ??= `${member} and ${other.member} apply different updates for step ${step}`;
    }
    this.#applied.push({ member, step, before, gradient });
    const isWritten = this.#adopted().some(([, text]) => text.includes(`"step":${step},`));
    if (!isWritten) this.#violation ??= `${member} applies step ${step}, which no ledger has decided`;
  }

  // Faults

  /** How many lines from now on the coordinator is killed while it writes; 0 for never. */
  #dieAtAppend = 0;

  #plan(): void {
    const { dice } = this.world;
    this.world.after(
      FAULTS_UNTIL_MS,
      () => Object.assign(this.#network.weather, { drop: 0, repeat: 0, reorder: 0 }),
    );
    if (this.#isCalm || this.hasLiar) return this.#count("loss");
    for (let at = dice.between(500, 8_000); at < FAULTS_UNTIL_MS; at += dice.between(300, 15_000)) {
      this.world.after(at, () => this.#isOverOr(() => this.#inject()));
    }
  }

  #isOverOr(task: () => void): void {
    if (!this.isOver) task();
  }

  #inject(): void {
    const { dice } = this.world;
    const faults: Record<string, () => void> = {
      kill: () => this.#killWorker(),
      killTwo: () => {
        this.#killWorker();
        this.#killWorker();
      },
      stop: () => this.#stopWorker(dice.pick([1_000, 2_500, 15_000, 30_000])),
      slow: () => this.#slowWorker(),
      damage: () => this.#withMember((member) => member.damages = true),
      killCoordinator: () => this.#killCoordinator("by a signal"),
      killAtAppend: () => this.#dieAtAppend = dice.int(1, 3),
      stopCoordinator: () => this.#stopCoordinator(dice.pick([2_000, 15_000])),
      replaceCoordinator: () => this.#replaceCoordinator(),
      partition: () => this.#partition(dice.pick([1_000, 3_000, 14_000])),
      partitionData: () => this.#partitionData(dice.pick([2_000, 20_000])),
      fullDisk: () => this.#fillDisk(),
      stranger: () => this.#stranger(),
    };
    const kind = dice.pick(Object.keys(faults));
    this.#count(kind);
    this.world.note(() => `fault: ${kind}`);
    faults[kind]();
  }

  #count(kind: string): void {
    this.faults[kind] = (this.faults[kind] ?? 0) + 1;
  }

  #victim(): string {
    return `worker-${this.world.dice.int(0, this.#workers - 1)}`;
  }

  /** Who gives its state to others dies just then. */
  #mayLoseDonor(name: string): void {
    const { dice } = this.world;
    if (this.#isCalm || this.world.now > FAULTS_UNTIL_MS || !dice.chance(0.3)) return;
    this.#count("killDonor");
    this.world.after(dice.between(0.5, 60), () => this.#isOverOr(() => this.#killWorker(name)));
  }

  #killWorker(name = this.#victim()): void {
    const process = this.#processes.get(name);
    if (process === undefined || !process.isAlive) return;
    this.world.note(() => `${name} is killed`);
    process.kill();
    this.#processEnds(name, "signal SIGKILL");
  }

  #stopWorker(ms: number): void {
    const process = this.#processes.get(this.#victim());
    this.world.note(() => `${process?.name} is stopped for ${ms} ms`);
    process?.stop();
    this.world.after(ms, () => process?.continue());
  }

  #withMember(change: (member: SimulatedMember) => void): void {
    const member = this.#members.get(this.#victim());
    if (member !== undefined) change(member);
  }

  #slowWorker(): void {
    this.#withMember((member) => {
      member.slowness = 10;
      this.world.after(10_000, () => member.slowness = 1);
    });
  }

  #killCoordinator(how: string): void {
    const coordinator = this.#coordinator;
    if (coordinator === null || !coordinator.process.isAlive) return;
    this.world.note(() => `coordinator is killed ${how}`);
    this.#restartCoordinator();
  }

  #stopCoordinator(ms: number): void {
    const process = this.#coordinator?.process;
    process?.stop();
    this.world.after(ms, () => process?.continue());
  }

  /** The old one is stopped, a new one takes over, and the old one wakes. */
  #replaceCoordinator(): void {
    const old = this.#coordinator?.process;
    if (old === undefined || !old.isAlive) return;
    old.stop();
    this.world.after(2_000, () => this.#startCoordinator());
    this.world.after(this.world.dice.between(3_000, 12_000), () => old.continue());
  }

  #partition(ms: number): void {
    const name = this.#victim();
    const ways: [string, string][] = [[name, "coordinator"], ["coordinator", name]];
    const cut = this.world.dice.chance(0.5) ? ways : [this.world.dice.pick(ways)];
    this.world.note(() => `cut for ${ms} ms: ${cut.map((way) => way.join(" to ")).join(", ")}`);
    for (const [from, to] of cut) {
      this.#network.cut(from, to);
      this.world.after(ms, () => this.#network.mend(from, to));
    }
  }

  #partitionData(ms: number): void {
    const [a, b] = [this.#victim(), this.#victim()];
    if (a === b) return;
    this.world.note(() => `cut for ${ms} ms: ${a} and ${b}`);
    for (const [from, to] of [[a, b], [b, a]]) {
      this.#network.cut(from, to);
      this.world.after(ms, () => this.#network.mend(from, to));
    }
  }

  #fillDisk(): void {
    this.#disk.isFull = true;
    this.world.after(this.world.dice.pick([3_000, 40_000]), () => this.#disk.isFull = false);
  }

  /** A member of another run, whose port was this member's before, sends its frames. */
  #stranger(): void {
    const { dice } = this.world;
    this.#withMember((member) => {
      for (let node = 0; node < 2 * this.#V - 1; node++) {
        for (let step = 0; step < this.#steps; step++) {
          const frame = {
            nonce: "00".repeat(16),
            step,
            attempt: dice.int(0, 1),
            node,
            sum: hash32("strange", node),
          };
          member.arrive({ ...frame, damaged: false, rank: 0 });
        }
      }
    });
  }
}
