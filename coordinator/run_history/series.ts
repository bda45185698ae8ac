/** What is left of a stretch of lines: the mean of each column, and how far it went. */
export interface Curves {
  /** The first step of each point. */
  readonly steps: number[];
  /** By column; null where no line of the point had a finite number. */
  readonly columns: Readonly<Record<string, CurveColumn>>;
}

export interface CurveColumn {
  readonly mean: readonly (number | null)[];
  /** Left out where each point is one line. */
  readonly min?: readonly (number | null)[];
  readonly max?: readonly (number | null)[];
}

export interface CurveRange {
  /** The first step; default: the oldest. */
  readonly from?: number;
  /** The last step; default: the newest. */
  readonly to?: number;
  /** The most points that the answer may have. */
  readonly points: number;
}

/** Digits that a screen can show. */
const DIGITS = 6;

/**
 * Numbers over steps in bounded memory: beyond `capacity` points two neighbours become one, which keeps their mean, the
 * least and the greatest. No spike is lost, however long the run.
 */
export class Series {
  #size = 0;
  /** Lines of a whole point. */
  #stride = 1;
  #last = -1;
  readonly #steps: Float64Array;
  readonly #lines: Uint32Array;
  readonly #columns: Column[];

  /** `capacity` is the most points that are kept, an even number; the system gives memory for those that there are. */
  constructor(private readonly names: readonly string[], { capacity }: { capacity: number }) {
    this.#steps = new Float64Array(capacity);
    this.#lines = new Uint32Array(capacity);
    this.#columns = names.map(() => new Column(capacity));
  }

  /** The newest step; −1 while there is none. */
  get last(): number {
    return this.#last;
  }

  /** Adds a line, its numbers in the order of the columns, NaN for one it has not. A step that is not newer than all is left out. */
  push(step: number, values: readonly number[]): void {
    if (step <= this.#last) return;
    this.#last = step;
    if (this.#size === 0 || this.#lines[this.#size - 1] >= this.#stride) this.#open(step);
    const at = this.#size - 1;
    const before = this.#lines[at]++;
    this.#columns.forEach((column, i) => column.add(at, { value: values[i], before }));
  }

  /** Forgets all: the file was written anew. */
  clear(): void {
    this.#size = 0;
    this.#stride = 1;
    this.#last = -1;
  }

  /** What lies in a range, in at most so many points. */
  curves({ from = 0, to = Infinity, points }: CurveRange): Curves {
    const first = Math.max(0, this.#after(from) - 1);
    const end = Math.min(this.#size, this.#after(to));
    const group = Math.max(1, Math.ceil((end - first) / Math.max(1, points)));
    const starts = Array.from(
      { length: Math.ceil(Math.max(0, end - first) / group) },
      (_, i) => first + i * group,
    );
    const isExact = group === 1 && this.#stride === 1;
    const columns = this.names.map((name, i) => {
      const merged = starts.map((start) =>
        this.#columns[i].merged({ start, end: Math.min(end, start + group), lines: this.#lines })
      );
      const mean = merged.map((point) => shown(point.mean));
      if (isExact) return [name, { mean }] as const;
      const min = merged.map((point) => shown(point.min)), max = merged.map((point) => shown(point.max));
      return [name, { mean, min, max }] as const;
    });
    return { steps: starts.map((start) => this.#steps[start]), columns: Object.fromEntries(columns) };
  }

  /** How many points begin at `step` or before it. */
  #after(step: number): number {
    let low = 0, high = this.#size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #open(step: number): void {
    if (this.#size === this.#steps.length) this.#halve();
    this.#steps[this.#size] = step;
    this.#lines[this.#size] = 0;
    this.#size++;
  }

  #halve(): void {
    for (let to = 0; to < this.#size / 2; to++) {
      const start = 2 * to;
      for (const column of this.#columns) {
        column.set(to, column.merged({ start, end: start + 2, lines: this.#lines }));
      }
      this.#steps[to] = this.#steps[start];
      this.#lines[to] = this.#lines[start] + this.#lines[start + 1];
    }
    this.#size /= 2;
    this.#stride *= 2;
  }
}

interface Point {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

/** One number of each point; NaN where no line had it. */
class Column {
  readonly #mean: Float32Array;
  readonly #min: Float32Array;
  readonly #max: Float32Array;

  constructor(capacity: number) {
    this.#mean = new Float32Array(capacity);
    this.#min = new Float32Array(capacity);
    this.#max = new Float32Array(capacity);
  }

  /** Takes a line's value into a point that has `before` lines. */
  add(at: number, { value, before }: { value: number; before: number }): void {
    const isFirst = before === 0 || Number.isNaN(this.#mean[at]);
    if (isFirst) return this.set(at, { mean: value, min: value, max: value });
    if (Number.isNaN(value)) return;
    this.#mean[at] += (value - this.#mean[at]) / (before + 1);
    this.#min[at] = Math.min(this.#min[at], value);
    this.#max[at] = Math.max(this.#max[at], value);
  }

  set(at: number, { mean, min, max }: Point): void {
    this.#mean[at] = mean;
    this.#min[at] = min;
    this.#max[at] = max;
  }

  /** The points from `start` up to `end` as one; `lines` says how much each counts. */
  merged({ start, end, lines }: { start: number; end: number; lines: Uint32Array }): Point {
    let sum = 0, weight = 0, min = Infinity, max = -Infinity;
    for (let at = start; at < end; at++) {
      if (Number.isNaN(this.#mean[at])) continue;
      sum += lines[at] * this.#mean[at];
      weight += lines[at];
      min = Math.min(min, this.#min[at]);
      max = Math.max(max, this.#max[at]);
    }
    return weight === 0 ? { mean: NaN, min: NaN, max: NaN } : { mean: sum / weight, min, max };
  }
}

/** As JSON can carry it, with the digits that a screen can show. */
function shown(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null;
}
