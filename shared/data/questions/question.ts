/** A text and how it may go on; one continuation is right. */
export interface Question {
  /** Never empty. */
  readonly context: string;
  /** Each begins with the space or line break that parts it from the context. */
  readonly continuations: readonly string[];
  /** Index of the right continuation. */
  readonly answer: number;
}

/** Parts that share no question: to learn from, to stop early by, to report. */
export type Part = "train" | "dev" | "test";

/** A public collection of questions. */
export interface QuestionSet {
  /** By part: its files, as they are called below the folder of task data. A part may have none. */
  readonly files: Readonly<Record<Part, readonly string[]>>;
  /** Where the files are published. */
  readonly home: string;
  /** The questions of one of the files. Throws E_DATA for what is not as it is published. */
  parse(text: string, file: string): Question[];
}
