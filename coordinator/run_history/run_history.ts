import { CheckpointStore } from "../../shared/checkpoint/store.ts";
import { type ErrorCode, isErrorCode } from "../../shared/errors.ts";
import { type LogRecord, parseLogRecord } from "../../shared/log.ts";
import {
  type EvalLine,
  parseEval,
  parseSample,
  parseWorkers,
  type SampleLine,
  type WorkerPhases,
} from "../../shared/metrics.ts";
import { type RunDir, runDirAt } from "../../shared/run_dir.ts";
import { FileTail, type TailReader } from "./file_tail.ts";
import { Recent } from "./recent.ts";
import { type CurveRange, type Curves, Series } from "./series.ts";

/** Numbers of metrics.jsonl that are kept. */
export const METRICS = [
  ...["loss", "lr", "grad_norm", "tokens_per_sec", "mfu", "dt_ms"],
  ...["compute_ms", "prepare_ms", "apply_ms", "overhead_ms"],
] as const;
/** Numbers of eval.jsonl's estimates. */
export const ESTIMATES = ["train_loss", "val_loss"] as const;

/** Phases of all workers in one step. */
export interface StepWorkers {
  readonly step: number;
  readonly workers: readonly WorkerPhases[];
}

/** What is new in a run's files. */
export interface RunNews {
  /** The files were written anew, by a run that was resumed: all that was known is void. */
  readonly restarted: boolean;
  /** The new steps, in a few points. */
  readonly metrics: Curves;
  readonly estimates: Curves;
  readonly results: readonly EvalLine[];
  readonly samples: readonly SampleLine[];
  readonly workers: readonly StepWorkers[];
  readonly log: readonly LogRecord[];
}

/** Points of each curve that are kept: a wide screen has an eighth of them as columns. */
const POINTS = 1 << 15;
/** In what is new a few points will do: a page that wants more asks for the curves. */
const NEWS_POINTS = 32;
const KEPT = { results: 200, samples: 200, workers: 120, log: 500, membership: 1_000 } as const;

/** Events of log.jsonl that tell who belonged to the run, and why. */
const MEMBERSHIP: ReadonlySet<string> = new Set(["roster", "membership", "member_failed", "restored"]);

/** A run as its files tell it, while it goes on or afterwards. Memory is bounded, however long it is; files are only read. */
export class RunHistory {
  readonly dir: RunDir;
  readonly #metrics: Series;
  readonly #estimates: Series;
  readonly #files: readonly { readonly tail: FileTail; readonly reader: TailReader }[];
  readonly #results = new Recent<EvalLine>(KEPT.results);
  readonly #samples = new Recent<SampleLine>(KEPT.samples);
  readonly #workers = new Recent<RawWorkers>(KEPT.workers);
  readonly #log = new Recent<LogRecord>(KEPT.log);
  readonly #membership = new Recent<LogRecord>(KEPT.membership);
  #newest: NewestLines = { metrics: null, estimate: null };
  readonly #failures = new Map<ErrorCode, number>();
  #news = new News();
  #refreshing: Promise<RunNews | null> | null = null;

  /** `points` is the most that are kept of each curve, an even number. */
  constructor(path: string, { points = POINTS }: { points?: number } = {}) {
    this.dir = runDirAt(path);
    this.#metrics = new Series(METRICS, { capacity: points });
    this.#estimates = new Series(ESTIMATES, { capacity: points });
    this.#files = [
      this.#file(this.dir.metrics, {
        line: (text) => this.#takeMetrics(text),
        forget: () => this.#forgetMetrics(),
      }),
      this.#file(this.dir.evals, { line: (text) => this.#takeEval(text), forget: () => this.#forgetEvals() }),
      this.#file(this.dir.samples, {
        line: (text) => this.#takeSample(text),
        forget: () => this.#samples.clear(),
      }),
      this.#file(this.dir.log, {
        line: (text) => this.#takeLog(text),
        forget: () => this.#forgetLog(),
      }),
    ];
  }

  /** Evaluations of tasks, the newest last. */
  get results(): readonly EvalLine[] {
    return this.#results.items;
  }

  get samples(): readonly SampleLine[] {
    return this.#samples.items;
  }

  /** Of the newest logged steps. */
  get workers(): readonly StepWorkers[] {
    return parsedWorkers(this.#workers);
  }

  get log(): readonly LogRecord[] {
    return this.#log.items;
  }

  /** Rosters, and what happened to members. */
  get membership(): readonly LogRecord[] {
    return this.#membership.items;
  }

  /** The lines that came last. */
  get newest(): NewestLines {
    return this.#newest;
  }

  /** How often members were lost, by the code of why. */
  get failures(): ReadonlyMap<ErrorCode, number> {
    return this.#failures;
  }

  /** The newest logged step; −1 before the first. */
  get step(): number {
    return this.#metrics.last;
  }

  metrics(range: CurveRange): Curves {
    return this.#metrics.curves(range);
  }

  estimates(range: CurveRange): Curves {
    return this.#estimates.curves(range);
  }

  /** Steps of the checkpoints that are there, and that of the best. */
  async checkpoints(): Promise<{ steps: number[]; best: number | null }> {
    const store = new CheckpointStore(this.dir.checkpoints);
    return { steps: await store.steps(), best: await store.named("BEST") };
  }

  /** Reads what was added to the files; resolves to null if nothing was. Calls that overlap are one. */
  refresh(): Promise<RunNews | null> {
    return this.#refreshing ??= this.#refresh().finally(() => this.#refreshing = null);
  }

  async #refresh(): Promise<RunNews | null> {
    this.#news = new News();
    for (const { tail, reader } of this.#files) await tail.read(reader);
    return this.#news.isEmpty ? null : this.#news.told();
  }

  #file(path: string, { line, forget }: { line(text: string): void; forget(): void }) {
    const restart = () => {
      forget();
      this.#news.restarted = true;
    };
    return { tail: new FileTail(path), reader: { line, restart } };
  }

  #forgetMetrics(): void {
    this.#metrics.clear();
    this.#workers.clear();
    this.#newest = { ...this.#newest, metrics: null };
  }

  #forgetEvals(): void {
    this.#estimates.clear();
    this.#newest = { ...this.#newest, estimate: null };
    this.#results.clear();
  }

  #forgetLog(): void {
    this.#log.clear();
    this.#membership.clear();
    this.#failures.clear();
  }

  #takeMetrics(text: string): void {
    const line = objectIn(text);
    const step = line?.step;
    if (line === null || typeof step !== "number" || !Number.isSafeInteger(step)) return;
    const values = METRICS.map((name) => numberIn(line[name]));
    this.#metrics.push(step, values);
    this.#newest = { ...this.#newest, metrics: line };
    this.#news.metrics.push(step, values);
    if (line.workers === undefined) return;
    this.#workers.add({ step, workers: line.workers });
    this.#news.workers.add({ step, workers: line.workers });
  }

  #takeEval(text: string): void {
    const line = parseEval(text);
    if (line === null) return;
    if (line.task !== "estimate") {
      this.#results.add(line);
      return this.#news.results.add(line);
    }
    const values = ESTIMATES.map((name) => numberIn(line.metrics[name]));
    this.#estimates.push(line.step, values);
    this.#newest = { ...this.#newest, estimate: line };
    this.#news.estimates.push(line.step, values);
  }

  #takeSample(text: string): void {
    const line = parseSample(text);
    if (line === null) return;
    this.#samples.add(line);
    this.#news.samples.add(line);
  }

  #takeLog(text: string): void {
    const record = parseLogRecord(text);
    if (record === null) return;
    this.#log.add(record);
    if (MEMBERSHIP.has(record.event)) this.#membership.add(record);
    if (record.event === "member_failed") this.#countFailure(record.fields.code);
    this.#news.log.add(record);
  }

  #countFailure(code: unknown): void {
    if (typeof code !== "string" || !isErrorCode(code)) return;
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
  }
}

/** What a run has said last. */
export interface NewestLines {
  /** Of metrics.jsonl, as it stands there. */
  readonly metrics: Readonly<Record<string, unknown>> | null;
  readonly estimate: EvalLine | null;
}

/** What came in one reading. */
class News {
  restarted = false;
  readonly metrics = new Series(METRICS, { capacity: NEWS_POINTS });
  readonly estimates = new Series(ESTIMATES, { capacity: NEWS_POINTS });
  readonly results = new Recent<EvalLine>(KEPT.results);
  readonly samples = new Recent<SampleLine>(KEPT.samples);
  readonly workers = new Recent<RawWorkers>(KEPT.workers);
  readonly log = new Recent<LogRecord>(KEPT.log);

  get isEmpty(): boolean {
    const { restarted, metrics, estimates, results, samples, log } = this;
    if (restarted || metrics.last >= 0 || estimates.last >= 0) return false;
    return results.items.length + samples.items.length + log.items.length === 0;
  }

  told(): RunNews {
    return {
      restarted: this.restarted,
      metrics: this.metrics.curves({ points: NEWS_POINTS }),
      estimates: this.estimates.curves({ points: NEWS_POINTS }),
      results: this.results.items,
      samples: this.samples.items,
      workers: parsedWorkers(this.workers),
      log: this.log.items,
    };
  }
}

/** As it stood in a line: of 100,000 lines only the newest are worth being parsed. */
interface RawWorkers {
  readonly step: number;
  readonly workers: unknown;
}

function parsedWorkers(lines: Recent<RawWorkers>): StepWorkers[] {
  return lines.items.map(({ step, workers }) => ({ step, workers: parseWorkers(workers) }));
}

/** A line's object; null where it is none. */
function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

/** NaN for what is no number. */
function numberIn(value: unknown): number {
  return typeof value === "number" ? value : NaN;
}
