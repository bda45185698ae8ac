import { join } from "node:path";
import { LockstepError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import { arcEasy } from "./arc_easy.ts";
import { babi } from "./babi.ts";
import { cola } from "./cola.ts";
import { lambada } from "./lambada.ts";
import type { Part, Question, QuestionSet } from "./question.ts";
import { sst2 } from "./sst2.ts";

const SETS = {
  lambada,
  arc_easy: arcEasy,
  "babi/1": babi(1),
  "babi/2": babi(2),
  "babi/5": babi(5),
  "glue/cola": cola,
  "glue/sst2": sst2,
} satisfies Record<string, QuestionSet>;

/** A public collection of questions, by the name of its task. */
export type QuestionSetName = keyof typeof SETS;

/** What was read of a part. */
export interface ReadQuestions {
  readonly questions: Question[];
  /** SHA-256 (hex) by file. */
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * Reads a part of a collection; one that is not published apart is empty. `folder` holds the files under their public
 * names. Throws E_DATA, saying where they are published, where one is missing, and for what is not as it is published.
 */
export async function readQuestions(
  name: QuestionSetName,
  { part, folder }: { part: Part; folder: string | null },
): Promise<ReadQuestions> {
  const set: QuestionSet = SETS[name];
  const names = set.files[part];
  const advice = `fetch ${names.join(", ")} from ${set.home} and pass --task_data=FOLDER`;
  if (folder === null) {
    throw new LockstepError("E_DATA", `Cannot read ${name} without its questions: ${advice}`);
  }
  const files = await Promise.all(names.map(async (file) => {
    const text = await readQuestionFile(join(folder, file), advice);
    const questions = set.parse(text, join(folder, file));
    if (questions.length > 0) return { file, questions, hash: sha256(text) };
    throw new LockstepError("E_DATA", `Cannot read ${name} as ${join(folder, file)} holds no questions`);
  }));
  return {
    questions: files.flatMap(({ questions }) => questions),
    sources: Object.fromEntries(files.map(({ file, hash }) => [file, hash])),
  };
}

/** The text of a file of questions. Throws E_DATA with `advice` where it cannot be read. */
export async function readQuestionFile(path: string, advice: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new LockstepError("E_DATA", `Cannot read ${path} as it must be a readable file: ${advice}`, {
      cause,
    });
  }
}
