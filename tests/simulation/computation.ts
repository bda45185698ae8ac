import { sha256 } from "../../shared/hash.ts";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import type { StepScalars } from "../../shared/schedule.ts";
import { Arena } from "../../worker/arena.ts";
import type { Reduced, StepKey } from "../../worker/collective/collective.ts";
import { PeerError } from "../../worker/collective/peer_error.ts";
import type { CollectiveSetup } from "../../worker/collective/thread_messages.ts";
import type { ComputeInfo, ComputeMemory, Computing } from "../../worker/compute.ts";
import { compileKernels } from "../../worker/kernels/kernels.ts";
import type { SnapshotBytes } from "../../worker/state_bytes.ts";
import type { ComputedStep, OnPartial } from "../../worker/shard_trainer.ts";
import type { Reducing } from "../../worker/worker.ts";
import type { Network } from "./network.ts";
import type { Process } from "./world.ts";

/** The hash of anything, as long as those of states and gradients. */
export function hash32(...parts: (string | number)[]): string {
  return sha256(parts.join("|")).slice(0, 32);
}

/** The state of a run of this seed before its first step. */
export const INITIAL_STATE = hash32("initial");

/** How many pieces a simulated state has; each is the state's hash, so that torn ones show. */
const PIECES = 3;

/** The gradient of a shard, as far as a simulation cares: another one for every step, shard and state. */
export function leafGradient(step: number, shard: number, state: string): string {
  return hash32("leaf", step, shard, state);
}

/** A sum depends on the order in which it is made, as that of float32 numbers does. */
export function sumOf(left: string, right: string): string {
  return hash32("sum", left, right);
}

export function updated(state: string, gradient: string): string {
  return hash32("update", state, gradient);
}

/** The states of a run that nothing disturbs, from the first to the last. */
export function undisturbed(steps: number, V: number): string[] {
  const tree = new ReductionTree(V);
  const states = [INITIAL_STATE];
  for (let step = 0; step < steps; step++) {
    const state = states[step];
    const sum = (node: number): string => {
      const { left, right, first } = tree.nodes[node];
      return left < 0 ? leafGradient(step, first, state) : sumOf(sum(left), sum(right));
    };
    states.push(updated(state, sum(0)));
  }
  return states;
}

const arena = Arena.create({ parameters: 1, m: 1, v: 1, reduced: 1, squares: 2, scratch: 1 });
const MEMORY: ComputeMemory = {
  state: arena.share(),
  module: await compileKernels({ shared: arena.shared }),
};

export interface Applied {
  readonly member: string;
  readonly step: number;
  readonly before: string;
  readonly gradient: string;
}

/** A worker's computation and its part of the reduction, on strings in place of numbers, in simulated time. */
export class SimulatedMember implements Computing, Reducing, SnapshotBytes {
  readonly pieceCount = PIECES;
  /** Shards take so many times longer. */
  slowness = 1;
  /** Its gradients are others than they should be. */
  lies = false;
  /** The next frame that this member sends is damaged. */
  damages = false;
  #state: string[] = Array(PIECES).fill("0".repeat(32));
  #step = -1;
  #shards: readonly number[] = [];
  readonly #leaves = new Map<number, string>();
  #aborts = 0;
  #setup: CollectiveSetup | null = null;
  #names: readonly string[] = [];
  #key: StepKey | null = null;
  /** Sums of others that are here, by "nonce step attempt node". */
  readonly #sums = new Map<string, string>();
  #own = new Map<number, string>();
  #done: PromiseWithResolvers<Reduced | null> | null = null;
  #reduced: string | null = null;
  #moved = 0;
  readonly #tree: ReductionTree;
  onPartial: OnPartial = () => {};

  constructor(
    private readonly options: {
      readonly process: Process;
      readonly network: Network;
      readonly V: number;
      readonly shardMs: number;
      readonly loadMs: number;
      /** All members of the world, by name: where data go. */
      readonly others: Map<string, SimulatedMember>;
      onApply(applied: Applied): void;
    },
  ) {
    this.#tree = new ReductionTree(options.V);
    options.others.set(options.process.name, this);
  }

  async load(): Promise<ComputeInfo> {
    await this.options.process.sleep(this.options.loadMs);
    return {
      engine: "simulated",
      device: "cpu",
      parameters: [{ name: "w", shape: [1 << 16] }],
      size: 1 << 16,
      sliceRows: 1,
      flopsPerToken: 1,
      modelSource: "gpt",
      engineSource: null,
      data: {},
    };
  }

  memory(): Promise<ComputeMemory> {
    return Promise.resolve(MEMORY);
  }

  initialize(): Promise<string> {
    this.#state.fill(INITIAL_STATE);
    return this.stateHash();
  }

  /** That of a whole state is its own; a torn one has another. */
  stateHash(): Promise<string> {
    const [first] = this.#state;
    const isWhole = this.#state.every((piece) => piece === first);
    return Promise.resolve(isWhole ? first : hash32(...this.#state));
  }

  download(): Promise<void> {
    return Promise.resolve();
  }

  prepare() {
    return Promise.resolve({ partials: MEMORY.state, graph: null });
  }

  fingerprint(): Promise<string> {
    return Promise.resolve(hash32("fingerprint"));
  }

  deal(shards: readonly number[]): Promise<void> {
    this.#shards = [...shards].sort((a, b) => a - b);
    return Promise.resolve();
  }

  async computeStep(step: number, audit: number | null): Promise<ComputedStep | null> {
    const before = this.#aborts;
    const state = await this.stateHash();
    if (step !== this.#step) this.#leaves.clear();
    this.#step = step;
    this.#announceComplete(new Set());
    for (const shard of this.#shards) {
      if (this.#leaves.has(shard)) continue;
      await this.options.process.sleep(this.options.shardMs * this.slowness);
      const known = new Set(this.#complete());
      this.#leaves.set(shard, this.#gradient(step, shard, state));
      if (this.#aborts !== before) return null;
      this.#announceComplete(known);
    }
    const audited = audit === null ? null : this.#gradient(step, audit, state);
    return { losses: this.#shards.map((shard) => ({ shard, loss: 1 })), audited };
  }

  #gradient(step: number, shard: number, state: string): string {
    return this.lies ? hash32("lie", step, shard) : leafGradient(step, shard, state);
  }

  #complete(): number[] {
    const maximal = this.#tree.maximalSubtrees(this.#shards);
    return maximal.filter((node) => {
      const { first, count } = this.#tree.nodes[node];
      return Array.from({ length: count }, (_, i) => first + i).every((leaf) => this.#leaves.has(leaf));
    });
  }

  #announceComplete(known: ReadonlySet<number>): void {
    for (const node of this.#complete()) if (!known.has(node)) this.onPartial(node, 0);
  }

  abort(): Promise<void> {
    this.#aborts++;
    this.#done?.resolve(null);
    this.#done = null;
    this.#key = null;
    return Promise.resolve();
  }

  async apply(_scalars: StepScalars, _norm: number): Promise<string> {
    await this.options.process.sleep(0.2);
    const before = await this.stateHash();
    const gradient = this.#reduced ?? "nothing";
    this.options.onApply({ member: this.options.process.name, step: this.#step, before, gradient });
    this.#state.fill(updated(before, gradient));
    return this.stateHash();
  }

  estimate(): Promise<number> {
    return this.options.process.sleep(1).then(() => 1);
  }

  answer(): Promise<Float32Array> {
    return Promise.resolve(new Float32Array(1));
  }

  // Reducing

  configure(setup: CollectiveSetup): Promise<void> {
    this.#setup = setup;
    this.#names = setup.endpoints.map((endpoint) => endpoint.slice("ipc://".length));
    this.#own = new Map();
    return Promise.resolve();
  }

  begin(key: StepKey): Promise<Reduced | null> {
    this.#done?.resolve(null);
    this.#key = { step: key.step, attempt: key.attempt };
    this.#own = new Map();
    this.#done = Promise.withResolvers();
    this.#reduced = null;
    const { promise } = this.#done;
    this.#finishIfDue();
    return promise;
  }

  announce(node: number): void {
    const sum = this.#sumOfOwn(node);
    this.#own.set(node, sum);
    const { network, process } = this.options;
    const [setup, key] = [this.#setup, this.#key];
    if (setup === null || key === null) return;
    const frame: Frame = {
      nonce: hex(setup.nonce),
      ...key,
      node,
      sum,
      damaged: this.damages,
      rank: setup.rank,
    };
    this.damages = false;
    for (const name of this.#names) {
      if (name === process.name) continue;
      network.carryData(process.name, name, () => this.options.others.get(name)?.arrive(frame));
    }
    this.#finishIfDue();
  }

  /** A frame of another member, or of a stranger, has come. */
  arrive(frame: Frame): void {
    this.options.process.do(() => this.#take(frame));
  }

  #take({ nonce, step, attempt, node, sum, damaged, rank }: Frame): void {
    if (this.#setup === null || nonce !== hex(this.#setup.nonce)) return;
    if (damaged) {
      this.#done?.reject(
        new PeerError("E_CRC", `Cannot reduce step ${step}: rank ${rank} sent a damaged frame`, rank),
      );
      this.#done = null;
      return;
    }
    this.#moved++;
    this.#sums.set(`${nonce} ${step} ${attempt} ${node}`, sum);
    this.#finishIfDue();
  }

  #finishIfDue(): void {
    const [setup, key, done] = [this.#setup, this.#key, this.#done];
    if (setup === null || key === null || done === null) return;
    if (this.#missing().length > 0) return;
    const sum = (node: number): string => {
      const own = this.#own.get(node) ?? this.#sums.get(this.#nameOf(node));
      const { left, right } = this.#tree.nodes[node];
      return own ?? sumOf(sum(left), sum(right));
    };
    this.#reduced = sum(0);
    this.#done = null;
    done.resolve({ gradHash: this.#reduced, bucketHashes: this.#reduced, gradNorm: 1 });
  }

  #nameOf(node: number): string {
    return `${hex(this.#setup?.nonce ?? new Uint8Array())} ${this.#key?.step} ${this.#key?.attempt} ${node}`;
  }

  /** Ranks whose sums are not here yet. */
  #missing(): number[] {
    const { nodes = [], rank: own } = this.#setup ?? {};
    return nodes.flatMap((brought, rank) => {
      const lacks = brought.some((node) =>
        rank === own ? !this.#own.has(node) : !this.#sums.has(this.#nameOf(node))
      );
      return lacks ? [rank] : [];
    });
  }

  #sumOfOwn(node: number): string {
    const { left, right, first } = this.#tree.nodes[node];
    return left < 0
      ? this.#leaves.get(first) ?? "missing"
      : sumOf(this.#sumOfOwn(left), this.#sumOfOwn(right));
  }

  readonly ports = [];

  connect(): void {
    // All simulated members are on one host.
  }

  status() {
    const waitsFor = this.#done === null ? [] : this.#missing().filter((rank) => rank !== this.#setup?.rank);
    return Promise.resolve({ waitsFor, moved: this.#moved, dropped: 0 });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  // SnapshotBytes

  piece(index: number): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.#state[index]);
  }

  write(index: number, piece: Uint8Array): void {
    this.#state[index] = new TextDecoder().decode(piece);
  }
}

/** A sum on its way from one member to another. */
export interface Frame extends StepKey {
  readonly nonce: string;
  readonly node: number;
  readonly sum: string;
  readonly damaged: boolean;
  /** Of its sender. */
  readonly rank: number;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
