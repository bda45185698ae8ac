import { hostname } from "node:os";
import project from "../deno.json" with { type: "json" };
import { parseRunConfig } from "../shared/config/parse_run_config.ts";
import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { WorkerChannel } from "../shared/protocol/channel.ts";
import type { JsonObject, Message, ToWorker } from "../shared/protocol/messages.ts";
import type { Collective, Reduced } from "./collective/collective.ts";
import type { CollectiveSetup } from "./collective/thread_messages.ts";
import type { ComputeInfo, ComputeMemory, Computing } from "./compute.ts";
import { Evaluation } from "./evaluation.ts";
import type { ShardLoss } from "./shard_trainer.ts";
import { StateBytes } from "./state_bytes.ts";

/** A collective that can join a generation. */
export interface Reducing extends Collective {
  configure(setup: CollectiveSetup): Promise<void>;
}

export interface WorkerOptions {
  readonly id: string;
  readonly localRank: number;
  /** Where this member's data sockets listen; null in a run of one process. */
  readonly endpoint: string | null;
  readonly computing: Computing;
  readonly reducing: Reducing;
}

type Roster = Message<ToWorker, "ROSTER">;
type Step = Message<ToWorker, "STEP">;

/** What a member knows of the step it works on. */
interface Working {
  readonly step: Step;
  readonly reduced: Promise<Reduced | null>;
}

/** What a member has once it knows its run. */
interface Joined {
  readonly roster: Roster;
  readonly info: ComputeInfo;
  readonly bytes: StateBytes;
  readonly evaluation: Evaluation;
  /** SHA-256 of the compiled step; null for an engine without, or where no step is computed. */
  readonly graph: string | null;
}

/** How many pieces of a snapshot are asked for at a time. */
const SYNC_WINDOW = 4;

/** A member's life: joins, takes its start, then computes, reduces and applies step by step until it is drained. */
export async function runWorker(channel: WorkerChannel, options: WorkerOptions): Promise<void> {
  const member = new Member(channel, options);
  try {
    await member.run();
  } catch (error) {
    if (error instanceof LockstepError) {
      await channel.send({ type: "ERROR", code: error.code, message: error.message });
    }
    throw error;
  } finally {
    await options.reducing.close();
    await options.computing.close();
    await channel.close();
  }
}

class Member {
  #joined: Joined | undefined;
  #stateHash = "";
  #working: Working | undefined;
  #reduced: Reduced | undefined;

  constructor(private readonly channel: WorkerChannel, private readonly options: WorkerOptions) {}

  async run(): Promise<void> {
    await this.channel.send({
      type: "HELLO",
      id: this.options.id,
      version: project.version,
      pid: Deno.pid,
      host: hostname(),
      localRank: this.options.localRank,
      endpoint: this.options.endpoint,
      applied: 0,
      stateHash: null,
    });
    for (;;) {
      const message = await this.channel.receive();
      if (message === null) {
        throw new LockstepError("E_TOO_FEW", `The coordinator of ${this.options.id} is gone`);
      }
      if (message.type === "DRAIN") return;
      await this.#handle(message);
    }
  }

  #handle(message: Exclude<ToWorker, { type: "DRAIN" }>): Promise<void> {
    switch (message.type) {
      case "ROSTER":
        return this.#join(message);
      case "SYNC_OFFER":
        return this.#sync(message);
      case "SYNC_DATA":
        throw new LockstepError("E_DECODE", "Cannot take a piece of a snapshot that was not asked for");
      case "STEP":
        return this.#computeStep(message);
      case "COMMIT":
        return this.#commit(message);
      case "ABORT":
        return this.options.reducing.abort();
      case "CKPT_BEGIN":
        return this.#sendCheckpoint(message);
      case "EVAL_DEAL":
        return this.#evaluate(message);
      case "ERROR":
        throw new LockstepError(message.code, message.message);
      case "BEAT":
        return this.channel.send({ type: "BEAT" });
    }
  }

  /** JOIN: loads what the run computes; READY once the state is there. */
  async #join(roster: Roster): Promise<void> {
    const { computing } = this.options;
    const config = parseRunConfig(roster.config, { source: "the coordinator" });
    const info = await computing.load(config);
    const memory = await computing.memory();
    if (roster.start.source === "init") this.#stateHash = await computing.initialize();
    const computes = roster.shards.some((shards) => shards.length > 0);
    const graph = computes ? await this.#prepareSteps(roster, { config, memory }) : null;
    const bytes = new StateBytes(memory.state);
    this.#joined = { roster, info, bytes, evaluation: new Evaluation(config, computing), graph };
    if (roster.start.source === "init") await this.#ready();
  }

  /** Memory, program and sockets for the steps of a generation; resolves to the program's hash. */
  async #prepareSteps(
    roster: Roster,
    { config, memory }: { config: RunConfig; memory: ComputeMemory },
  ): Promise<string | null> {
    const { computing, reducing } = this.options;
    const { rank, shards, nonce, generation } = roster;
    const { partials, nodes, graph } = await computing.configure({ shards, rank });
    const endpoints = roster.members.map(({ endpoint }) => endpoint ?? "");
    const shardCount = config.gradient_accumulation_steps;
    await reducing.configure({ ...memory, partials, shardCount, nodes, rank, endpoints, nonce, generation });
    return graph;
  }

  async #ready(): Promise<void> {
    const { roster: { epoch, generation }, info: computed, graph } = this.#member();
    const info: JsonObject = JSON.parse(JSON.stringify({ ...computed, graph }));
    await this.channel.send({ type: "READY", epoch, generation, stateHash: this.#stateHash, info });
  }

  /** SYNC: pulls a snapshot piece by piece, a few at a time. */
  async #sync(
    { epoch, generation, step, bytes, stateHash, chunkBytes }: Message<ToWorker, "SYNC_OFFER">,
  ): Promise<void> {
    const count = Math.ceil(bytes / chunkBytes);
    const ask = (index: number) => this.channel.send({ type: "SYNC_GET", epoch, generation, step, index });
    for (let index = 0; index < Math.min(SYNC_WINDOW, count); index++) await ask(index);
    for (let received = 0; received < count; received++) {
      const message = await this.channel.receive();
      if (message?.type !== "SYNC_DATA") {
        throw new LockstepError(
          "E_SHORT",
          `The snapshot of step ${step} ended after ${received} of ${count} pieces`,
        );
      }
      this.#member().bytes.write(message.index * chunkBytes, message.bytes);
      if (received + SYNC_WINDOW < count) await ask(received + SYNC_WINDOW);
    }
    this.#stateHash = await this.options.computing.stateHash();
    if (this.#stateHash !== stateHash) {
      throw new LockstepError(
        "E_CRC",
        `The snapshot of step ${step} arrived damaged: its state hash differs`,
      );
    }
    await this.#ready();
  }

  /** COMPUTE and REDUCE, which overlap; then PREPARED. */
  async #computeStep(step: Step): Promise<void> {
    const { computing, reducing } = this.options;
    const reduced = reducing.begin(step);
    reduced.catch(() => {}); // awaited below
    this.#working = { step, reduced };
    const losses = await computing.computeStep(step.step);
    this.#reduced = await reduced ?? undefined;
    if (this.#reduced !== undefined) await this.#prepared(step, losses, this.#reduced);
  }

  #prepared(step: Step, losses: ShardLoss[], { gradHash, gradNorm }: Reduced): Promise<void> {
    const { epoch, generation, attempt } = step;
    return this.channel.send({
      type: "PREPARED",
      epoch,
      generation,
      step: step.step,
      attempt,
      losses,
      gradHash,
      gradNorm,
      stateHash: this.#stateHash,
    });
  }

  /** APPLY: only the step that was prepared, with the gradient that was prepared. */
  async #commit({ epoch, generation, step, gradHash }: Message<ToWorker, "COMMIT">): Promise<void> {
    const working = this.#working;
    if (working?.step.step !== step || this.#reduced?.gradHash !== gradHash) {
      throw new LockstepError(
        "E_DIVERGED",
        `Cannot apply step ${step}: this member did not prepare that gradient`,
      );
    }
    this.#stateHash = await this.options.computing.apply(working.step, this.#reduced.gradNorm);
    await this.channel.send({
      type: "APPLIED",
      epoch,
      generation,
      step: step + 1,
      stateHash: this.#stateHash,
    });
  }

  async #sendCheckpoint({ epoch, generation, step }: Message<ToWorker, "CKPT_BEGIN">): Promise<void> {
    const at = { epoch, generation, step };
    for (const piece of this.#member().bytes.filePieces()) {
      await this.channel.send({ type: "CKPT_PART", ...at, ...piece });
    }
    await this.channel.send({ type: "CKPT_DONE", ...at });
  }

  async #evaluate(
    { epoch, generation, evaluation, task, batches }: Message<ToWorker, "EVAL_DEAL">,
  ): Promise<void> {
    for (const batch of batches) {
      const { result, shown } = await this.#member().evaluation.run(task, batch);
      await this.channel.send({ type: "EVAL_RESULT", epoch, generation, evaluation, batch, result, shown });
    }
  }

  #member(): Joined {
    if (this.#joined === undefined) throw new LockstepError("E_DECODE", "Cannot work before ROSTER");
    return this.#joined;
  }
}
