import process from "node:process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Arena } from "../arena.ts";
import { compileKernels } from "../kernels/kernels.ts";
import type { Collective } from "./collective.ts";
import { Exposures } from "./exposures.ts";
import { NONCE_BYTES } from "./codec.ts";
import { makeReducer } from "./make_reducer.ts";
import { planExchanges, scratchLength } from "./plan_exchanges.ts";

/** What a member of the benchmark is told. Each of `endpoints.length` members brings one gradient of `elements` numbers. */
export const benchSetup = z.strictObject({
  rank: z.int().nonnegative(),
  endpoints: z.array(z.string()),
  elements: z.int().positive(),
  frameElements: z.int().positive().optional(),
});
export type BenchSetup = z.infer<typeof benchSetup>;

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
    private readonly collective: Collective,
    private readonly own: { node: number; byteOffset: number },
  ) {}

  static async start({ rank, endpoints, elements, frameElements }: BenchSetup): Promise<BenchMember> {
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
      nonce: new Uint8Array(NONCE_BYTES).fill(1),
      generation: 1,
      frameElements,
    }, new Exposures());
    return new BenchMember(collective, { node: tree.leaf(rank), byteOffset: gradient.byteOffset });
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

/** Answers each line of standard input, a number of all-reduces, with a BenchAnswer; ends with the input. */
async function serve(setup: BenchSetup): Promise<void> {
  const member = await BenchMember.start(setup);
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await member.reduce(Number(line))));
  }
  await member.close();
}

if (import.meta.main) await serve(benchSetup.parse(JSON.parse(Deno.args[0])));
