import { SortSequences, type SortShape } from "../data/datasets/sort_sequences.ts";
import { binomialProbability, wilsonInterval } from "../statistics.ts";
import type { GenerateRequest, Metric, Task, TaskNeeds, Totals } from "./task.ts";

/** Which sequences, and how many at a time. */
export interface SortTaskOptions {
  readonly sort: SortShape;
  readonly seed: number;
  /** Sequences to sort. */
  readonly eval_items: number;
  /** Sequences in a batch. */
  readonly batch_size: number;
}

/**
 * Sorts held-out sequences and compares with the truth: whole answers, single numbers, and how many of the values
 * that the input repeats come out as often as they went in.
 */
export class SortTask implements Task {
  readonly name = "sort";
  readonly itemCount: number;
  readonly batchCount: number;
  readonly #options: SortTaskOptions;
  readonly #sequences: SortSequences;

  constructor(options: SortTaskOptions) {
    this.#options = options;
    this.itemCount = options.eval_items;
    this.batchCount = Math.ceil(options.eval_items / options.batch_size);
    this.#sequences = new SortSequences(options.sort, { seed: options.seed, purpose: "task" });
  }

  get needs(): TaskNeeds {
    const { length, values } = this.#options.sort;
    return { vocabSize: values + 1, length: 2 * length };
  }

  request(batch: number): GenerateRequest {
    const { sort: { length, values }, batch_size } = this.#options;
    const promptLength = length + 1;
    const prompts = new Int32Array(batch_size * promptLength).fill(values);
    for (let row = 0; row < batch_size; row++) prompts.set(this.#input({ batch, row }), row * promptLength);
    return { kind: "generate", batchSize: batch_size, promptLength, prompts, maxNewTokens: length };
  }

  score(batch: number, output: Int32Array | Float32Array): Totals {
    const total: Totals = { items: 0, exact: 0, tokens: 0, correct: 0 };
    const rows = Math.min(this.#options.batch_size, this.itemCount - batch * this.#options.batch_size);
    for (let row = 0; row < rows; row++) {
      this.#scoreRow({ input: this.#input({ batch, row }), answer: this.#answer(row, output) }, total);
    }
    return total;
  }

  summarize(total: Totals): Metric[] {
    const { length, values } = this.#options.sort;
    const { items, exact, correct, tokens } = total;
    const metrics: Metric[] = [
      share("exact_match", { hits: exact, of: items, chance: values ** -length, n: items }),
      share("token_accuracy", { hits: correct, of: tokens, chance: 1 / values, n: items }),
    ];
    for (const suffix of repeatSuffixes(total)) {
      metrics.push(share(`repeats_kept${suffix}`, {
        hits: total[`kept${suffix}`],
        of: total[`repeats${suffix}`],
        chance: total[`kept_by_chance${suffix}`] / total[`repeats${suffix}`],
        n: total[`items_with_repeats${suffix}`],
      }));
    }
    return metrics;
  }

  show(at: { batch: number; row: number }, output: Int32Array): string {
    const input = this.#input(at);
    const wanted = input.toSorted();
    const answer = this.#answer(at.row, output);
    const width = String(this.#options.sort.values).length;
    const line = (label: string, words: ArrayLike<number | string>) =>
      [label.padEnd(6), ...Array.from(words, (word) => String(word).padStart(width))].join(" ").trimEnd();
    const lines = [line("input", input), line("answer", answer)];
    if (wanted.some((value, i) => value !== answer[i])) {
      lines.push(line("wrong", Array.from(wanted, (value, i) => value === answer[i] ? "" : "^")));
      lines.push(line("wanted", wanted));
    }
    return lines.join("\n");
  }

  close(): void {}

  /** The numbers of a row; rows beyond the last item repeat it. */
  #input({ batch, row }: { batch: number; row: number }): Int32Array {
    const index = Math.min(batch * this.#options.batch_size + row, this.itemCount - 1);
    const numbers = new Int32Array(this.#options.sort.length);
    this.#sequences.fill({ split: "val", index }, numbers);
    return numbers;
  }

  #answer(row: number, output: Int32Array | Float32Array): Int32Array | Float32Array {
    const { length } = this.#options.sort;
    return output.subarray(row * length, (row + 1) * length);
  }

  #scoreRow(
    { input, answer }: { input: Int32Array; answer: Int32Array | Float32Array },
    total: Totals,
  ): void {
    const { length } = this.#options.sort;
    let correct = 0;
    for (const [i, value] of input.toSorted().entries()) {
      if (value === answer[i]) correct++;
    }
    total.items += 1;
    total.exact += correct === length ? 1 : 0;
    total.tokens += length;
    total.correct += correct;
    this.#scoreRepeats({ wanted: counts(input), got: counts(answer) }, total);
  }

  /** Every value that went in `times` ≥ 2 times, all together and by that number. */
  #scoreRepeats(
    { wanted, got }: { wanted: Map<number, number>; got: Map<number, number> },
    total: Totals,
  ): void {
    const { length, values } = this.#options.sort;
    const seen = new Set<string>();
    for (const [value, times] of wanted) {
      if (times < 2) continue;
      for (const suffix of ["", `_${times}x`]) {
        add(total, `repeats${suffix}`, 1);
        add(total, `kept${suffix}`, got.get(value) === times ? 1 : 0);
        add(total, `kept_by_chance${suffix}`, binomialProbability(times, { n: length, p: 1 / values }));
        add(total, `items_with_repeats${suffix}`, seen.has(suffix) ? 0 : 1);
        seen.add(suffix);
      }
    }
  }
}

/**
 * A share with Wilson's interval over `n` sequences: what one sequence holds is not independent, so a sequence counts
 * as one observation however many numbers it has.
 */
function share(
  name: string,
  { hits, of, chance, n }: { hits: number; of: number; chance: number; n: number },
): Metric {
  const value = hits / of;
  return { name, value, ...wilsonInterval(value * n, n), chance, n };
}

/** The suffixes of what #scoreRepeats counted: "" first, then "_2x", "_3x" … */
function repeatSuffixes(total: Totals): string[] {
  return Object.keys(total)
    .filter((key) => key.startsWith("repeats"))
    .map((key) => key.slice("repeats".length))
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

function counts(numbers: Int32Array | Float32Array): Map<number, number> {
  const count = new Map<number, number>();
  for (const value of numbers) count.set(value, (count.get(value) ?? 0) + 1);
  return count;
}

function add(total: Totals, name: string, value: number): void {
  total[name] = (total[name] ?? 0) + value;
}
