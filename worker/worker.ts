import project from "../deno.json" with { type: "json" };
import { type Clock, realClock } from "../shared/clock.ts";
import { parseRunConfig } from "../shared/config/parse_run_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { askedHash } from "../shared/config/config_hash.ts";
import { LockstepError } from "../shared/errors.ts";
import { hostName } from "../shared/host.ts";
import type { WorkerChannel } from "../shared/protocol/channel.ts";
import {
  type Message,
  NO_SESSION,
  type Order,
  type Report,
  type ToWorker,
} from "../shared/protocol/messages.ts";
import { piecesToAsk } from "../shared/protocol/snapshot_pieces.ts";
import { newSessionId, Session } from "../shared/protocol/session.ts";
import type { OnProgress } from "../shared/progress.ts";
import { PIECE_BYTES } from "../shared/protocol/snapshot_pieces.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import type { StepScalars } from "../shared/schedule.ts";
import type { Collective, CollectiveStatus, Reduced } from "./collective/collective.ts";
import { PeerError } from "./collective/peer_error.ts";
import type { CollectiveMemory, CollectiveSetup } from "./collective/thread_messages.ts";
import type { ComputeInfo, ComputeMemory, Computing } from "./compute.ts";
import { fetchData } from "./fetch_data.ts";
import { cpuMs } from "./cpu_time.ts";
import { Evaluation } from "./evaluation.ts";
import type { TrainingSetup } from "./shard_trainer.ts";
import type { KeyPair } from "../shared/zmq/curve.ts";
import type { TcpLinks } from "./collective/zmq_links.ts";
import { type SnapshotBytes, StateBytes } from "./state_bytes.ts";

/** A collective that can join a generation. */
export interface Reducing extends Collective {
  /** Does what can be done before it is known who the members are. Nobody may write to the memory meanwhile. */
  expose?(memory: CollectiveMemory): Promise<void>;
  configure(setup: CollectiveSetup): Promise<void>;
  /** After configure: TCP ports for members on other hosts, by rank. */
  readonly ports: readonly number[];
  /** Connects to members on other hosts; to be called before begin where there are any. */
  connect(endpoints: readonly string[]): void;
  status(): Promise<CollectiveStatus>;
}

export interface WorkerOptions {
  readonly id: string;
  readonly localRank: number;
  /** Names the machine; members of one name reach each other's sockets. */
  readonly host?: string;
  /** How members on other hosts reach this one; left out where there can be none. */
  readonly links?: { readonly bind: string; readonly keys: KeyPair | null };
  /** The run that it means to join; null takes any. */
  readonly run?: string | null;
  /** Leaves the run once it is aborted. */
  readonly signal?: AbortSignal;
  /** Where this member's data sockets listen; null in a run of one process. */
  readonly endpoint: string | null;
  readonly computing: Computing;
  readonly reducing: Reducing;
  readonly clock?: Clock;
  /** The state as pieces; by default those of the computation's memory. */
  snapshot?(memory: ComputeMemory): SnapshotBytes;
  /** Told of data and of a state that come from the run. */
  readonly onProgress?: OnProgress;
  /** Told of every point that is reached, before anything goes on: for faults that are to happen just there. */
  reach?(point: WorkerPoint, step: number): void;
  /** What the run's configuration must be: see `askedHash`. */
  readonly configHash?: string;
  /** How long to wait for a coordinator that is silent, in ms; without it, for ever: something else ends this process then. */
  readonly patienceMs?: number;
}

type Roster = Message<Order, "ROSTER">;
type Step = Message<Order, "STEP">;

/** Where a member is in a step, or in taking or giving a start. */
export type WorkerPoint = "compute" | "reduce" | "prepared" | "commit" | "applied" | "pull" | "give";

/** What a member has once it knows its run. */
interface Loaded {
  readonly configHash: string;
  readonly config: RunConfig;
  readonly info: ComputeInfo;
  readonly memory: ComputeMemory;
  readonly bytes: SnapshotBytes;
  readonly evaluation: Evaluation;
  /** Null where no step is computed. */
  readonly training: TrainingSetup | null;
  readonly fingerprint: string | null;
}

/** A gradient that is reduced and not applied. */
interface Prepared extends Reduced {
  readonly step: number;
}

/** A job's place in time: it is passed over when another generation has begun. */
interface Life {
  readonly epoch: number;
  readonly generation: number;
}

const BEAT_MS = 1_000;
/** A coordinator that is silent for so long may not have heard what was sent to it. */
const SILENCE_MS = 3_000;

/**
 * A member's life: joins, takes its start, then computes, reduces and applies step by step until it is drained. Resolves to
 * whether the run was stopped, and may go on later.
 */
export async function runWorker(
  channel: WorkerChannel,
  options: WorkerOptions,
): Promise<{ readonly stopped: boolean }> {
  const member = new Member(channel, options);
  try {
    return await member.run();
  } finally {
    await options.reducing.close();
    await options.computing.close();
    await channel.close();
  }
}

/** A job that cannot go on as its session has ended; another session begins it anew. */
class Aborted extends Error {}

class Member {
  #session = new Session<Report, Order>(newSessionId());
  #heardAt: number;
  #hasHeard = false;
  #life: Life = { epoch: -1, generation: -1 };
  /** Jobs one after the other; orders are taken meanwhile. */
  #work: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #drained = false;
  #stopped = false;
  /** The step whose state the arena is known to hold, where it lives on a device. */
  #inArena = -1;
  #rank = 0;
  #loaded: Loaded | undefined;
  #applied: number | null = null;
  #stateHash: string | null = null;
  #prepared: Prepared | undefined;
  /** When it was. */
  #preparedAt = 0;
  /** Takes pieces of a snapshot while one is received; null ends it. */
  #takePiece: ((piece: Message<Order, "SYNC_DATA"> | null) => void) | undefined;
  /** Takes a piece of a data file while one is fetched; null ends it. */
  #takeData: ((part: Message<Order, "DATA_PART"> | null) => void) | undefined;
  /** Takes where members on other hosts wait; null ends it. */
  #takeLinks: ((endpoints: readonly string[] | null) => void) | undefined;
  #pieces = 0;
  readonly #clock: Clock;

  constructor(private readonly channel: WorkerChannel, private readonly options: WorkerOptions) {
    this.#clock = options.clock ?? realClock;
    this.#heardAt = this.#clock.now();
  }

  async run(): Promise<{ readonly stopped: boolean }> {
    this.options.signal?.addEventListener("abort", () => this.#leave());
    // A coordinator that has been started again answers that it does not know this session.
    this.channel.onReconnected = () => this.#beat();
    this.#hello();
    const stop = this.#clock.every(BEAT_MS, () => this.#beat());
    try {
      for (;;) {
        const message = await this.channel.receive();
        if (message === null) break;
        this.#receive(message);
      }
    } finally {
      stop();
    }
    this.#endGeneration();
    await this.#work;
    if (this.#failure !== undefined) throw this.#failure.error;
    if (!this.#drained) {
      throw new LockstepError("E_TOO_FEW", `The coordinator of ${this.options.id} is gone`);
    }
    return { stopped: this.#stopped };
  }

  /** The others go on without it. */
  #leave(): void {
    this.#endGeneration();
    this.#drained = true;
    this.#send({ type: "LEAVE", reason: "it was asked to" });
    this.channel.close();
  }

  #hello(): void {
    const prepared = this.#prepared === undefined
      ? null
      : { step: this.#prepared.step, gradHash: this.#prepared.gradHash };
    this.#send({
      type: "HELLO",
      id: this.options.id,
      run: this.options.run ?? null,
      version: project.version,
      pid: Deno.pid,
      host: this.options.host ?? hostName(),
      localRank: this.options.localRank,
      endpoint: this.options.endpoint,
      publicKey: this.options.links?.keys?.publicKey ?? null,
      applied: this.#applied,
      stateHash: this.#stateHash,
      prepared,
    });
  }

  #send(report: Report): Promise<void> {
    const sent = this.channel.send(this.#session.seal(report, this.#clock.now()));
    return sent.then(() => this.#session.room());
  }

  async #beat(): Promise<void> {
    const now = this.#clock.now();
    const { patienceMs = Infinity, id } = this.options;
    if (now - this.#heardAt > patienceMs) {
      const silence = this.#hasHeard
        ? `The coordinator of ${id} was silent for ${patienceMs / 1000} s`
        : `Cannot join with ${id} as no coordinator answered within ${
          patienceMs / 1000
        } s: check the address, ` +
          "whether a firewall closes the port, and whether the run has started";
      return this.#fail(new LockstepError("E_TOO_FEW", silence));
    }
    if (now - this.#heardAt > SILENCE_MS) this.#resend();
    const { waitsFor, moved, dropped } = await this.options.reducing.status();
    const beat = { waitsFor, moved: moved + this.#pieces, dropped, cpuMs: cpuMs() };
    this.channel.send(this.#session.sealLoose({ type: "BEAT", ...beat }));
  }

  #resend(): void {
    for (const sealed of this.#session.overdue(this.#clock.now())) this.channel.send(sealed);
  }

  #receive(message: ToWorker): void {
    const isForAll = message.session === NO_SESSION.session;
    if (message.session !== this.#session.id && !isForAll) return;
    this.#heardAt = this.#clock.now();
    this.#hasHeard = true;
    if (message.type === "ERROR") return this.#refused(message);
    const isNew = this.#session.accept(message);
    this.#resend();
    if (isNew) this.#handle(message);
  }

  #refused({ code, message }: Message<Order, "ERROR">): void {
    if (code !== "E_STALE") return this.#fail(new LockstepError(code, message));
    // Whoever was left behind, or has a new coordinator, says who it is again.
    this.#endGeneration();
    this.#session = new Session(newSessionId());
    this.#enqueue(() => Promise.resolve(this.#hello()));
  }

  #handle(order: Order): void {
    switch (order.type) {
      case "CONFIG":
        return this.#enqueue(() => this.#load(order));
      case "ROSTER":
        this.#life = { epoch: order.epoch, generation: order.generation };
        this.#abort();
        return this.#enqueueFor(order, () => this.#join(order));
      case "SYNC_DATA":
        return this.#takePiece?.(order);
      case "LINKS":
        return this.#takeLinks?.(order.endpoints);
      case "DATA_PART":
        return this.#takeData?.(order);
      case "SYNC_GET":
        return this.#enqueueFor(order, () => this.#giveState(order));
      case "STEP":
        return this.#enqueueFor(order, () => this.#computeStep(order));
      case "COMMIT":
        this.#enqueueFor(order, () => this.#commit(order));
        if (order.next !== null) this.#handle(followingStep(order, order.next));
        return;
      case "EVAL_DEAL":
        return this.#enqueueFor(order, () => this.#evaluate(order));
      case "DRAIN":
        this.#drained = true;
        this.#stopped = order.stopped;
        return this.#enqueue(() => this.channel.close());
      case "BEAT":
      case "ERROR":
        return;
    }
  }

  #enqueue(job: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#failure !== undefined) return;
      try {
        await job();
      } catch (error) {
        if (!(error instanceof Aborted)) this.#fail(error);
      }
    });
  }

  #enqueueFor(life: Life, job: () => Promise<void>): void {
    this.#enqueue(() => this.#isCurrent(life) ? job() : Promise.resolve());
  }

  #isCurrent({ epoch, generation }: Life): boolean {
    return epoch === this.#life.epoch && generation === this.#life.generation;
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#endGeneration();
    if (error instanceof LockstepError) {
      this.#send({ type: "ERROR", code: error.code, message: error.message });
    }
    this.channel.close();
  }

  /** Jobs of the generation are passed over, also those that are on their way to wait for something. */
  #endGeneration(): void {
    this.#life = { epoch: -1, generation: -1 };
    this.#abort();
  }

  /** Ends the job under way as soon as it can be; one that applies a step goes on to its end. */
  #abort(): void {
    this.options.computing.abort();
    this.options.reducing.abort();
    this.#takePiece?.(null);
    this.#takeData?.(null);
    this.#takeLinks?.(null);
  }

  /** Loads what the run computes: the slow part of joining, while others go on. */
  async #load(
    { config: given, configHash, files, trains, scratchGradients }: Message<Order, "CONFIG">,
  ): Promise<void> {
    if (this.#loaded?.configHash !== configHash) {
      const { computing, reducing } = this.options;
      const asked = parseRunConfig(given, { source: "the coordinator" });
      refuseOther(asked, this.options);
      const config = await this.#withData(asked, files);
      const tasksOnly = !trains && !config.eval_only;
      const info = await computing.load(config, { stateOnDemand: true, tasksOnly });
      const memory = await computing.memory();
      const training = trains ? await computing.prepare({ scratchGradients }) : null;
      if (training !== null) await reducing.expose?.({ ...memory, partials: training.partials });
      const fingerprint = trains ? await computing.fingerprint() : null;
      const bytes = this.options.snapshot?.(memory) ?? new StateBytes(memory.state);
      const evaluation = new Evaluation(config, computing);
      this.#loaded = { configHash, config, info, memory, bytes, evaluation, training, fingerprint };
    }
    const { info, training, fingerprint } = this.#member();
    this.#send({
      type: "LOADED",
      info: JSON.parse(JSON.stringify({ ...info, graph: training?.graph ?? null })),
      fingerprint,
    });
  }

  /** The configuration with the place of the data on this machine. */
  async #withData(config: RunConfig, files: Message<Order, "CONFIG">["files"]): Promise<RunConfig> {
    if (config.data_dir === null || files.length === 0) return config;
    let done = 0;
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const readPiece = (file: string, index: number) => {
      const waiting = Promise.withResolvers<Uint8Array>();
      this.#takeData = (part) => {
        if (part === null) waiting.reject(new Aborted());
        else if (part.file === file && part.index === index) {
          done += part.bytes.length;
          this.options.onProgress?.({ what: "received data", done, total, isBytes: true });
          waiting.resolve(part.bytes);
        }
      };
      this.#send({ type: "DATA_GET", file, index });
      return waiting.promise;
    };
    try {
      return { ...config, data_dir: await fetchData(config.data_dir, { files, readPiece }) };
    } finally {
      this.#takeData = undefined;
    }
  }

  /** SYNC: the state of the boundary where the generation starts, then READY. */
  async #join(roster: Roster): Promise<void> {
    const { reducing, computing } = this.options;
    const { step, decided, source, epoch, generation } = roster;
    this.#rank = roster.rank;
    await reducing.abort();
    if (decided !== null) await this.#applyDecided(decided);
    const pulled = source === "sync" ? this.#pull(roster) : true;
    const [isConfigured, isPulled] = await Promise.all([this.#configure(roster), pulled]);
    if (!isConfigured || !isPulled) return;
    if (source === "init") {
      this.#stateHash = await computing.initialize();
      this.#applied = 0;
    }
    if (this.#stateHash === null || this.#applied === null) {
      throw new LockstepError("E_STALE", `${this.options.id} has no state to start from at step ${step}`);
    }
    this.#send({ type: "READY", epoch, generation, step: this.#applied, stateHash: this.#stateHash });
  }

  async #applyDecided({ step, gradHash, ...scalars }: NonNullable<Roster["decided"]>): Promise<void> {
    const prepared = this.#prepared;
    if (this.#applied !== step || prepared?.step !== step || prepared.gradHash !== gradHash) return;
    await this.#apply(step, scalars);
  }

  /** Shards and links of a generation; false if another one has begun meanwhile. */
  async #configure({ rank, shards, members, nonce, epoch, generation }: Roster): Promise<boolean> {
    const { id, computing, reducing } = this.options;
    const { config, memory, training } = this.#member();
    if (training === null) return true;
    await computing.deal(shards[rank]);
    const shardCount = config.gradient_accumulation_steps;
    const tree = new ReductionTree(shardCount);
    const nodes = shards.map((own) => tree.maximalSubtrees(own));
    const endpoints = members.map(({ endpoint }) => endpoint ?? "");
    const { partials } = training;
    const hosts = members.map(({ host }) => host);
    const tcp = new Set(hosts).size > 1 ? this.#tcpLinks(members) : undefined;
    const at = { nodes, rank, endpoints, hosts, tcp, nonce, generation };
    await reducing.configure({ id, ...memory, partials, shardCount, ...at });
    if (tcp === undefined) return true;
    const linked = new Promise<readonly string[] | null>((resolve) => this.#takeLinks = resolve);
    this.#send({ type: "PORTS", epoch, generation, ports: [...reducing.ports] });
    if (!this.#isCurrent({ epoch, generation })) this.#takeLinks?.(null);
    const others = await linked;
    this.#takeLinks = undefined;
    if (others === null) return false;
    reducing.connect(others);
    return true;
  }

  #tcpLinks(members: Roster["members"]): TcpLinks | undefined {
    const { links } = this.options;
    if (links === undefined) return undefined; // refused where it is needed
    const publicKeys = members.map(({ publicKey }) => publicKey ?? "");
    return { bind: links.bind, keys: links.keys === null ? null : { own: links.keys, publicKeys } };
  }

  /** Pulls a snapshot piece by piece, a few at a time; false if another generation has begun meanwhile. */
  async #pull(roster: Roster): Promise<boolean> {
    const { epoch, generation, step } = roster;
    const { bytes } = this.#member();
    this.#applied = this.#stateHash = null;
    this.#prepared = undefined;
    const count = bytes.pieceCount;
    const received = new Set<number>();
    let asked = 0;
    const ask = () => {
      const pieces = piecesToAsk({ asked, taken: received.size, count });
      if (pieces > 0) this.#send({ type: "SYNC_GET", epoch, generation, step, index: asked, pieces });
      asked += pieces;
    };
    const complete = new Promise<boolean>((resolve) => {
      this.#takePiece = (piece) => {
        if (piece === null) return resolve(false);
        if (piece.step !== step || !this.#isCurrent(piece)) return;
        if (piece.index >= count || received.has(piece.index)) return;
        bytes.write(piece.index, piece.bytes);
        received.add(piece.index);
        this.options.reach?.("pull", step);
        this.#pieces++;
        const done = PIECE_BYTES * received.size;
        this.options.onProgress?.({
          what: "received state",
          done,
          total: PIECE_BYTES * count,
          isBytes: true,
        });
        if (received.size === count) resolve(true);
        else ask();
      };
      ask();
      if (!this.#isCurrent(roster)) resolve(false);
    });
    const isComplete = await complete;
    this.#takePiece = undefined;
    if (!isComplete) return false;
    this.#stateHash = await this.options.computing.stateHash();
    this.#applied = step;
    return true;
  }

  async #giveState(
    { epoch, generation, step, index: first, pieces }: Message<Order, "SYNC_GET">,
  ): Promise<void> {
    if (step !== this.#applied) return;
    if (this.#inArena !== step) await this.options.computing.download();
    this.#inArena = step;
    for (let index = first; index < first + pieces; index++) {
      if (!this.#isCurrent({ epoch, generation })) return;
      const bytes = this.#member().bytes.piece(index);
      this.options.reach?.("give", step);
      await this.#send({ type: "SYNC_DATA", epoch, generation, step, index, bytes });
    }
  }

  /** COMPUTE and REDUCE, which overlap; then PREPARED. */
  async #computeStep(step: Step): Promise<void> {
    const { computing, reducing } = this.options;
    const { epoch, generation, attempt } = step;
    const key = { epoch, generation, step: step.step, attempt };
    const began = this.#clock.now();
    this.#prepared = undefined; // its numbers are written over
    this.options.reach?.("compute", step.step);
    const reducingStep = reducing.begin(step).catch((error) => this.#reductionFailed(key, error));
    const isAuditor = step.audit?.ranks.includes(this.#rank) ?? false;
    const computed = await computing.computeStep(step.step, isAuditor ? step.audit?.shard ?? null : null);
    const computeMs = this.#clock.now() - began;
    this.options.reach?.("reduce", step.step);
    const reduced = await reducingStep;
    if (computed === null || reduced === null || this.#stateHash === null) return;
    this.#prepared = { step: step.step, ...reduced };
    this.#preparedAt = this.#clock.now();
    const took = { computeMs, prepareMs: this.#preparedAt - began };
    this.#send({ type: "PREPARED", ...key, ...computed, ...reduced, ...took, stateHash: this.#stateHash });
    this.options.reach?.("prepared", step.step);
  }

  /** A bad frame or a lost link: another attempt may follow. */
  #reductionFailed(key: Omit<Step, "type" | "audit">, error: unknown): null {
    if (!(error instanceof LockstepError)) {
      this.#fail(error);
      return null;
    }
    const { code, message } = error;
    this.#send({
      type: "FAILED",
      ...key,
      code,
      message,
      rank: error instanceof PeerError ? error.rank : null,
    });
    return null;
  }

  /** APPLY: only the step that was prepared, with the gradient that was prepared. */
  async #commit({ epoch, generation, decided }: Message<Order, "COMMIT">): Promise<void> {
    const { step, gradHash, ...scalars } = decided;
    const began = this.#clock.now();
    let waitedMs = 0;
    this.options.reach?.("commit", step);
    if (this.#applied === step) {
      if (this.#prepared?.step !== step || this.#prepared.gradHash !== gradHash) {
        throw new LockstepError(
          "E_DIVERGED",
          `Cannot apply step ${step}: this member did not prepare that gradient`,
        );
      }
      waitedMs = began - this.#preparedAt;
      await this.#apply(step, scalars);
    }
    this.options.reach?.("applied", step);
    if (this.#applied === null || this.#stateHash === null) return;
    const state = { step: this.#applied, stateHash: this.#stateHash };
    const applyMs = this.#clock.now() - began;
    this.#send({ type: "APPLIED", epoch, generation, ...state, waitedMs, applyMs });
  }

  async #apply(step: number, scalars: StepScalars): Promise<void> {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new RangeError(`Cannot apply step ${step} before it is prepared`);
    this.#stateHash = await this.options.computing.apply(scalars, prepared.gradNorm);
    this.#applied = step + 1;
    this.#prepared = undefined;
  }

  async #evaluate(deal: Message<Order, "EVAL_DEAL">): Promise<void> {
    const { epoch, generation, evaluation, task, batches } = deal;
    for (const batch of batches) {
      if (!this.#isCurrent(deal)) return;
      const { result, shown } = await this.#member().evaluation.run(task, batch);
      await this.#send({ type: "EVAL_RESULT", epoch, generation, evaluation, batch, result, shown });
    }
  }

  #member(): Loaded {
    if (this.#loaded === undefined) throw new LockstepError("E_DECODE", "Cannot work before CONFIG");
    return this.#loaded;
  }
}

/** The STEP that a COMMIT stands for too. */
function followingStep(
  { epoch, generation, decided: { step } }: Message<Order, "COMMIT">,
  { audit }: Pick<Step, "audit">,
): Step {
  return { type: "STEP", epoch, generation, step: step + 1, attempt: 0, audit };
}

/** A node that was started with another command line than the coordinator's. */
function refuseOther(config: RunConfig, { id, configHash }: WorkerOptions): void {
  if (configHash === undefined || askedHash(config) === configHash) return;
  throw new LockstepError(
    "E_CONFIG_HASH",
    `Cannot join with ${id} as this node's command line asks for another run than the coordinator's: give all nodes the same`,
  );
}
