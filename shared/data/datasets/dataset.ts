/** A micro-batch: `tokens` and `targets` are (B, T), row major; a target of −1 is ignored by the loss. */
export interface Batch {
  /** B, in sequences. */
  readonly batchSize: number;
  /** T, in tokens. */
  readonly length: number;
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** The two parts of a data set: what is trained on, and what is kept for measuring. */
export type Split = "train" | "val";

/** What training reads. Every batch is a pure function of the configuration and its place, never of who asks. */
export interface Dataset {
  /** Token ids are below this number. */
  readonly vocabSize: number;
  /** Names and SHA-256 (hex) of what it read, for the manifest; empty for generated data. */
  readonly sources: Readonly<Record<string, string>>;
  /** Fills `into` with the micro-batch of virtual shard `shard` of step `step`. */
  trainBatch(at: { step: number; shard: number }, into: Batch): void;
  /** Fills `into` with random batch `index` of a split, for a loss estimate as nanoGPT's. */
  sampleBatch(at: { split: Split; index: number }, into: Batch): void;
  /** Releases open files. */
  close(): void;
}

/** An empty micro-batch (B, T) to be filled again and again. */
export function createBatch(batchSize: number, length: number): Batch {
  const size = batchSize * length;
  return { batchSize, length, tokens: new Int32Array(size), targets: new Int32Array(size).fill(-1) };
}
