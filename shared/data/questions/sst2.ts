import type { QuestionSet } from "./question.ts";
import { readLines, wrongLine } from "./read_lines.ts";

/**
 * SST-2 (Socher et al., 2013), in GLUE: whether a sentence of a film review is positive (1) or negative (0), asked as
 * lm-evaluation-harness asks it, the tokens as they are. A line of the files is a sentence of the published trees with its
 * root's label before it: 0 and 1 are negative, 3 and 4 positive, 2 is left out. The dev part is GLUE's.
 */
export const sst2: QuestionSet = {
  files: { train: ["glue/sst2/train.txt"], dev: ["glue/sst2/dev.txt"], test: ["glue/sst2/test.txt"] },
  home: "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip",
  parse: (text, file) =>
    readLines(text, file).map((line) => {
      const [, label, sentence] = /^([01]) (.+)$/.exec(line.text) ?? [];
      if (sentence === undefined) throw wrongLine(line, "a label 0 or 1, a space and a sentence");
      return {
        context: `${sentence.trim()}\nQuestion: Is this sentence positive or negative?\nAnswer:`,
        continuations: [" negative", " positive"],
        answer: Number(label),
      };
    }),
};
