/** Continuation of `prompts` (B, promptLength), int32; answered by the new ids, (B, maxNewTokens) int32. */
export interface GenerateRequest {
  readonly kind: "generate";
  readonly batchSize: number;
  readonly promptLength: number;
  readonly prompts: Int32Array;
  /** By row: tokens that count, at least 1, the rest being padding; left out, all do. */
  readonly lengths?: Int32Array;
  readonly maxNewTokens: number;
  /** How tokens are drawn; left out, the likeliest is taken. */
  readonly draw?: Draw;
}

/** Draws each token from those below `vocabSize`, with the random numbers of `seed`; see `Sampling` in worker/sampling.ts. */
export interface Draw {
  readonly temperature: number;
  readonly topK: number | null;
  readonly seed: number;
  readonly vocabSize: number;
}

/** −log p of each target, tokens and targets (B, T) int32; answered by (B, T) float32, 0 where the target is −1. */
export interface NllRequest {
  readonly kind: "nll";
  readonly batchSize: number;
  readonly length: number;
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** What a task wants from the model for one batch. */
export type Request = GenerateRequest | NllRequest;

/** Sums and counts by name: of one batch, or of several added up. */
export type Totals = Record<string, number>;

/** A figure of a task with its 95 % interval. */
export interface Metric {
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** What guessing would give. */
  readonly chance: number;
  /** Independent observations that the interval rests on. */
  readonly n: number;
}

/** What a model must have for a task's items. */
export interface TaskNeeds {
  /** Token ids are below this. */
  readonly vocabSize: number;
  /** T, in tokens. */
  readonly length: number;
}

/**
 * A measurement in fixed batches of one shape, dealt whole, so that the figures are the same for any number of
 * workers. The last batch is padded; `score` ignores the padding.
 */
export interface Task {
  readonly name: string;
  readonly itemCount: number;
  readonly batchCount: number;
  /** Null where it is cut to the model. */
  readonly needs: TaskNeeds | null;
  request(batch: number): Request;
  /** Sums and counts of one batch; added up over batches in index order. */
  score(batch: number, output: Int32Array | Float32Array): Totals;
  summarize(total: Totals): Metric[];
  /** Row `row` of a batch for a person: what was asked, the model's answer, wrong places marked. */
  show?(at: { batch: number; row: number }, output: Int32Array): string;
  /** Releases open files. */
  close(): void;
}

/** Adds `totals` up in the order given: batch order, for the same bits whoever scored them. */
export function addTotals(totals: Iterable<Totals>): Totals {
  const sum: Totals = {};
  for (const one of totals) {
    for (const [name, value] of Object.entries(one)) sum[name] = (sum[name] ?? 0) + value;
  }
  return sum;
}
