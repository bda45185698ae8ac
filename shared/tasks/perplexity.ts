import { join } from "node:path";
import { DATA_FILES, readDataParts } from "../data/data_meta.ts";
import { TokenFile } from "../data/token_file.ts";
import { meanInterval } from "../statistics.ts";
import type { Metric, NllRequest, Task, Totals } from "./task.ts";

/** Which text, and how it is cut. */
export interface PerplexityOptions {
  /** Folder that holds `val.bin`. */
  readonly data_dir: string;
  /** T, in tokens. */
  readonly block_size: number;
  /** Windows in a batch. */
  readonly batch_size: number;
}

/** Parts of a window, each as long as the others, whose loss is also told apart. */
const QUARTERS = [0, 1, 2, 3];

/**
 * Loss and perplexity over the whole validation part, in consecutive windows that do not overlap; the incomplete last
 * window is left out. The loss of each quarter of a window tells how much a longer context helps.
 */
export class PerplexityTask implements Task {
  readonly name = "perplexity";
  readonly needs = null;
  /** In windows. */
  readonly itemCount: number;
  readonly batchCount: number;
  readonly #options: PerplexityOptions;
  readonly #vocabSize: number;
  readonly #file: TokenFile;
  /** One window and the token after it, reused. */
  readonly #window: Uint16Array<ArrayBuffer>;

  private constructor(
    options: PerplexityOptions,
    { vocabSize, file }: { vocabSize: number; file: TokenFile },
  ) {
    this.#options = options;
    this.#vocabSize = vocabSize;
    this.#file = file;
    this.#window = new Uint16Array(options.block_size + 1);
    this.itemCount = Math.floor((file.length - 1) / options.block_size);
    this.batchCount = Math.ceil(this.itemCount / options.batch_size);
  }

  /** Opens and checks the validation part. Throws E_DATA or E_TOKEN, see {@link TokenFile.open}. */
  static async open(options: PerplexityOptions): Promise<PerplexityTask> {
    const { vocabSize, val } = await readDataParts(options.data_dir);
    const file = await TokenFile.open(join(options.data_dir, DATA_FILES.val), {
      vocabSize,
      least: options.block_size + 1,
      expected: val,
    });
    return new PerplexityTask(options, { vocabSize, file });
  }

  request(batch: number): NllRequest {
    const { block_size: length, batch_size } = this.#options;
    const tokens = new Int32Array(batch_size * length);
    const targets = new Int32Array(batch_size * length).fill(-1);
    for (let row = 0; row < this.#rows(batch); row++) {
      this.#file.read((batch * batch_size + row) * length, this.#window);
      tokens.set(this.#window.subarray(0, length), row * length);
      targets.set(this.#window.subarray(1), row * length);
    }
    return { kind: "nll", batchSize: batch_size, length, tokens, targets };
  }

  score(batch: number, output: Int32Array | Float32Array): Totals {
    const { block_size: length } = this.#options;
    const total: Totals = { windows: this.#rows(batch) };
    for (let row = 0; row < total.windows; row++) {
      const window = output.subarray(row * length, (row + 1) * length);
      addLoss(total, "", mean(window));
      for (const { quarter, from, to } of this.#quarters()) {
        addLoss(total, ` ${quarter}`, mean(window.subarray(from, to)));
      }
    }
    return total;
  }

  /** In nats a token; the intervals take windows as independent. */
  summarize(total: Totals): Metric[] {
    const loss = (name: string, suffix: string): Metric => {
      const [n, sum] = [total.windows, total[`nll${suffix}`]];
      const bounds = meanInterval({ sum, squares: total[`squares${suffix}`] }, n);
      return { name, value: sum / n, ...bounds, chance: Math.log(this.#vocabSize), n };
    };
    const { value, low, high, n } = loss("loss", "");
    return [
      loss("loss", ""),
      {
        name: "perplexity",
        value: Math.exp(value),
        low: Math.exp(low),
        high: Math.exp(high),
        chance: this.#vocabSize,
        n,
      },
      ...this.#quarters().map(({ quarter, from, to }) =>
        loss(`loss, tokens ${from + 1} to ${to}`, ` ${quarter}`)
      ),
    ];
  }

  close(): void {
    this.#file.close();
  }

  /** Positions from `from` up to, but not including, `to`; none where a window has fewer than four tokens. */
  #quarters(): { quarter: number; from: number; to: number }[] {
    const { block_size } = this.#options;
    if (block_size < QUARTERS.length) return [];
    const edge = (quarter: number) => Math.floor(quarter * block_size / QUARTERS.length);
    return QUARTERS.map((quarter) => ({ quarter, from: edge(quarter), to: edge(quarter + 1) }));
  }

  /** Windows in a batch: fewer in the last one. */
  #rows(batch: number): number {
    const { batch_size } = this.#options;
    return Math.min(batch_size, this.itemCount - batch * batch_size);
  }
}

function mean(values: Int32Array | Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function addLoss(total: Totals, suffix: string, loss: number): void {
  total[`nll${suffix}`] = (total[`nll${suffix}`] ?? 0) + loss;
  total[`squares${suffix}`] = (total[`squares${suffix}`] ?? 0) + loss * loss;
}
