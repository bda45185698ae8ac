import process from "node:process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Arena } from "../arena.ts";
import { compileKernels } from "../kernels/kernels.ts";
import { Exposures } from "./exposures.ts";
import { NONCE_BYTES } from "./codec.ts";
import { makeReducer } from "./make_reducer.ts";
import { planExchanges, scratchLength } from "./plan_exchanges.ts";
import type { Reducer } from "./reducer.ts";

/** What a member of the benchmark is told. Each of `endpoints.length` members brings one gradient of `elements` numbers. */
export const benchSetup = z.strictObject({
  rank: z.int().nonnegative(),
  endpoints: z.array(z.string()),
  elements: z.int().positive(),
  frameElements: z.int().positive().optional(),
  /** As if each were on a host of its own: over tcp, encrypted. */
  keys: z.strictObject({
    own: z.strictObject({ publicKey: z.string(), secretKey: z.string() }),
    publicKeys: z.array(z.string()),
  }).nullable(),
});
export type BenchSetup = z.infer<typeof benchSetup>;

/** What a member is told next: where the others listen, then how often to reduce. */
export const benchOrder = z.union([
  z.strictObject({ connect: z.array(z.string()) }),
  z.strictObject({ count: z.int().positive() }),
]);
export type BenchOrder = z.infer<typeof benchOrder>;

/** What a member says once it can be connected to: the ports on which it waits for the others, by rank. */
export const benchReady = z.strictObject({ ports: z.array(z.int()) });

/** What a member answers to a number of all-reduces: the time of each, and the result's hash. */
export const benchAnswer = z.strictObject({ milliseconds: z.array(z.number()), gradHash: z.string() });
export type BenchAnswer = z.infer<typeof benchAnswer>;

/** Element i of member r's gradient: noise in [−½, ½) that is quick to make. */
export function fillBenchGradient(view: Float32Array, rank: number): void {
  for (let i = 0; i < view.length; i++) {
    view[i] = (Math.imul(i + 1, 0x9e3779b1 ^ (rank * 0x85ebca6b)) >>> 8) / 2 ** 24 - 0.5;
  }
}

/** Does all-reduces of always the same gradient. */
class BenchMember {
  #step = 0;

  private constructor(
    private readonly collective: Reducer,
    private readonly own: { node: number; byteOffset: number },
  ) {}

  static async start({ rank, endpoints, elements, frameElements, keys }: BenchSetup): Promise<BenchMember> {
    const tree = new ReductionTree(endpoints.length);
    const nodes = endpoints.map((_, leaf) => [tree.leaf(leaf)]);
    const plans = planExchanges({ tree, nodes, rank, elements, frameElements });
    const arena = Arena.create({
      gradient: elements,
      scratch: scratchLength(plans),
      reduced: elements,
      squares: plans[0].squaresLength,
    });
    arena.adviseHugePages();
    const gradient = arena.region("gradient");
    fillBenchGradient(gradient.view, rank);
    const shared = arena.share();
    const collective = makeReducer({
      module: await compileKernels({ shared: arena.shared }),
      partials: shared,
      state: shared,
      shardCount: tree.leafCount,
      nodes,
      rank,
      endpoints,
      hosts: endpoints.map((_, other) => keys === null ? "host" : `host-${other}`),
      tcp: keys === null ? undefined : { bind: "127.0.0.1", keys },
      nonce: new Uint8Array(NONCE_BYTES).fill(1),
      generation: 1,
      frameElements,
    }, new Exposures());
    return new BenchMember(collective, { node: tree.leaf(rank), byteOffset: gradient.byteOffset });
  }

  get ports(): readonly number[] {
    return this.collective.ports;
  }

  connect(endpoints: readonly string[]): void {
    this.collective.connect(endpoints);
  }

  async reduce(count: number): Promise<BenchAnswer> {
    const milliseconds: number[] = [];
    let gradHash = "";
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      const reduction = this.collective.begin({ step: this.#step++, attempt: 0 });
      this.collective.announce(this.own.node, this.own.byteOffset);
      gradHash = (await reduction)?.gradHash ?? "";
      milliseconds.push(performance.now() - start);
    }
    return { milliseconds, gradHash };
  }

  close(): Promise<void> {
    return this.collective.close();
  }
}

/** Takes a BenchSetup and then BenchOrders, a line each, and answers counts with a BenchAnswer; ends with the input. */
async function serve(): Promise<void> {
  let member: BenchMember | null = null;
  const say = (answer: unknown) => console.log(JSON.stringify(answer));
  for await (const line of createInterface({ input: process.stdin })) {
    if (member === null) {
      member = await BenchMember.start(benchSetup.parse(JSON.parse(line)));
      say({ ports: member.ports });
      continue;
    }
    const order = benchOrder.parse(JSON.parse(line));
    if ("connect" in order) member.connect(order.connect);
    else say(await member.reduce(order.count));
  }
  await member?.close();
}

if (import.meta.main) await serve();
