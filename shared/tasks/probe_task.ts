import { openProbe, type ProbeName } from "../data/probes/open_probe.ts";
import { itemOf, type Probe, type ProbeItem, type ProbeShape } from "../data/probes/probe.ts";
import { CounterRandom } from "../random.ts";
import { meanInterval, wilsonInterval } from "../statistics.ts";
import type { GenerateRequest, Metric, NllRequest, Task, TaskNeeds, Totals } from "./task.ts";

/** Which items, and how many at a time. */
export interface ProbeTaskOptions {
  readonly probe: ProbeShape;
  readonly seed: number;
  readonly eval_items: number;
  /** Items in a batch. */
  readonly batch_size: number;
}

/**
 * Held-out items of a probe: whole answers and single ids by greedy decoding, apart by group; where the items have a rival,
 * how often the answer is likelier than it, and by how many nats (the logit difference, as both have one id).
 */
export class ProbeTask implements Task {
  readonly itemCount: number;
  readonly batchCount: number;
  readonly #probe: Probe;
  readonly #random: CounterRandom;
  readonly #hasRival: boolean;

  constructor(readonly name: ProbeName, private readonly options: ProbeTaskOptions) {
    this.#probe = openProbe(name, options.probe);
    this.#random = CounterRandom.fromSeed(options.seed, name, "task");
    this.itemCount = options.eval_items;
    this.batchCount = Math.ceil(options.eval_items / options.batch_size);
    this.#hasRival = this.#item({ batch: 0, row: 0 }).rival !== null;
  }

  get needs(): TaskNeeds {
    const { vocabSize, promptLength, answerLength } = this.#probe;
    return { vocabSize, length: promptLength + answerLength - 1 };
  }

  request(batch: number): GenerateRequest | NllRequest {
    return this.#hasRival ? this.#compare(batch) : this.#generate(batch);
  }

  score(batch: number, output: Int32Array | Float32Array): Totals {
    const total: Totals = {};
    for (let row = 0; row < this.#rows(batch); row++) {
      const item = this.#item({ batch, row });
      if (item.rival === null) this.#scoreAnswer(item, { row, output, total });
      else this.#scoreRival(item, { row, output, total });
    }
    return total;
  }

  summarize(total: Totals): Metric[] {
    const { chance } = this.#probe;
    const n = total.items;
    const accuracy = this.#hasRival ? "accuracy" : "exact_match";
    const metrics = [share(accuracy, { hits: total.exact, of: n, chance })];
    if (this.#hasRival) {
      const interval = meanInterval({ sum: total.difference, squares: total.squares }, n);
      metrics.push({ name: "logit_difference", value: total.difference / n, ...interval, chance: 0, n });
    } else if (this.#probe.answerLength > 1) {
      const ofOne = chance ** (1 / this.#probe.answerLength);
      metrics.push({
        ...share("token_accuracy", { hits: total.correct, of: total.tokens, chance: ofOne }),
        n,
      });
    }
    for (const name of Object.keys(total).filter((key) => key.startsWith("items ")).sort()) {
      const group = name.slice("items ".length);
      const hits = total[`exact ${group}`] ?? 0;
      metrics.push(share(`${accuracy}, ${group}`, { hits, of: total[name], chance }));
    }
    return metrics;
  }

  show(at: { batch: number; row: number }, output: Int32Array): string {
    const { prompt, answer } = this.#item(at);
    const given = this.#answerAt(at.row, output);
    const isRight = answer.every((id, i) => id === given[i]);
    const lines = [`prompt ${prompt.join(" ")}`, `answer ${given.join(" ")}`];
    return [...lines, ...(isRight ? [] : [`wanted ${answer.join(" ")}`])].join("\n");
  }

  close(): void {}

  #generate(batch: number): GenerateRequest {
    const { batch_size: batchSize } = this.options;
    const { promptLength, answerLength } = this.#probe;
    const prompts = new Int32Array(batchSize * promptLength);
    for (let row = 0; row < batchSize; row++) {
      prompts.set(this.#item({ batch, row }).prompt, row * promptLength);
    }
    return { kind: "generate", batchSize, promptLength, prompts, maxNewTokens: answerLength };
  }

  /** Two rows an item: the answer's and the rival's. */
  #compare(batch: number): NllRequest {
    const { promptLength: length } = this.#probe;
    const batchSize = 2 * this.options.batch_size;
    const tokens = new Int32Array(batchSize * length);
    const targets = new Int32Array(batchSize * length).fill(-1);
    for (let row = 0; row < batchSize; row++) {
      const { prompt, answer, rival } = this.#item({ batch, row: row >> 1 });
      tokens.set(prompt, row * length);
      targets[(row + 1) * length - 1] = row % 2 === 0 ? answer[0] : rival?.[0] ?? -1;
    }
    return { kind: "nll", batchSize, length, tokens, targets };
  }

  #scoreAnswer(
    { answer, group }: ProbeItem,
    { row, output, total }: { row: number; output: Int32Array | Float32Array; total: Totals },
  ): void {
    const given = this.#answerAt(row, output);
    const correct = answer.filter((id, i) => id === given[i]).length;
    count(total, group, correct === answer.length);
    add(total, "tokens", answer.length);
    add(total, "correct", correct);
  }

  #scoreRival(
    { group }: ProbeItem,
    { row, output, total }: { row: number; output: Int32Array | Float32Array; total: Totals },
  ): void {
    const { promptLength: length } = this.#probe;
    const nllOf = (line: number) => output[(line + 1) * length - 1];
    const difference = nllOf(2 * row + 1) - nllOf(2 * row);
    count(total, group, difference > 0);
    add(total, "difference", difference);
    add(total, "squares", difference * difference);
  }

  /** Rows beyond the last item repeat it. */
  #item({ batch, row }: { batch: number; row: number }): ProbeItem {
    const index = Math.min(batch * this.options.batch_size + row, this.itemCount - 1);
    return itemOf(this.#probe, { random: this.#random, index, isHeldOut: true });
  }

  #answerAt(row: number, output: Int32Array | Float32Array): Int32Array | Float32Array {
    const { answerLength } = this.#probe;
    return output.subarray(row * answerLength, (row + 1) * answerLength);
  }

  #rows(batch: number): number {
    return Math.min(this.options.batch_size, this.itemCount - batch * this.options.batch_size);
  }
}

function count(total: Totals, group: string, isExact: boolean): void {
  add(total, "items", 1);
  add(total, `items ${group}`, 1);
  add(total, "exact", isExact ? 1 : 0);
  add(total, `exact ${group}`, isExact ? 1 : 0);
}

function add(total: Totals, name: string, value: number): void {
  total[name] = (total[name] ?? 0) + value;
}

function share(name: string, { hits, of, chance }: { hits: number; of: number; chance: number }): Metric {
  return { name, value: hits / of, ...wilsonInterval(hits, of), chance, n: of };
}
