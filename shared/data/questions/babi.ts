import type { Question, QuestionSet } from "./question.ts";
import { type Line, readLines, wrongLine } from "./read_lines.ts";

const NAMES = {
  1: "qa1_single-supporting-fact",
  2: "qa2_two-supporting-facts",
  5: "qa5_three-arg-relations",
} as const;

/**
 * A task of bAbI (Weston et al., 2015; en-10k, version 1.2): a question about the story so far. The model chooses among
 * all answers that the file holds, given story, question and "Answer:".
 */
export function babi(task: keyof typeof NAMES): QuestionSet {
  const name = NAMES[task];
  return {
    files: { train: [`babi/${name}_train.txt`], dev: [], test: [`babi/${name}_test.txt`] },
    home: "http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-2.tar.gz",
    parse: parseStories,
  };
}

function parseStories(text: string, file: string): Question[] {
  const asked: { context: string; answer: string }[] = [];
  let story: string[] = [];
  for (const line of readLines(text, file)) {
    const { number, sentence, answer } = parseSentence(line);
    if (number === 1) story = [];
    if (answer === undefined) story.push(sentence);
    else asked.push({ context: `${story.join("\n")}\nQuestion: ${sentence}\nAnswer:`, answer });
  }
  const answers = [...new Set(asked.map(({ answer }) => answer))].sort();
  const continuations = answers.map((answer) => ` ${answer}`);
  return asked.map(({ context, answer }) => ({
    context,
    continuations,
    answer: answers.indexOf(answer),
  }));
}

/** "3 Where is John? \thallway\t1": numbering from 1 starts a story, and only questions have an answer. */
function parseSentence(line: Line): { number: number; sentence: string; answer?: string } {
  const [, number, rest] = /^(\d+) (.+)$/.exec(line.text) ?? [];
  if (rest === undefined) throw wrongLine(line, "a numbered sentence");
  const [sentence, answer] = rest.split("\t").map((part) => part.trim());
  if (sentence === "" || answer === "") throw wrongLine(line, "a sentence, or a question with its answer");
  return { number: Number(number), sentence, answer };
}
