/** How far something is that takes a while. */
export interface ProgressReport {
  /** A word or two that stay the same while it goes on. */
  readonly what: string;
  readonly done: number;
  /** Null where nobody knows. */
  readonly total: number | null;
  /** Whether both are bytes. */
  readonly isBytes?: boolean;
  /** What else there is to say now. */
  readonly note?: string;
}

/** Is told how far something is, as often as that is known. */
export type OnProgress = (report: ProgressReport) => void;
