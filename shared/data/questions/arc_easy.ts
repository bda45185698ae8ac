import { z } from "zod";
import type { QuestionSet } from "./question.ts";
import { parseJsonLine, readLines, wrongLine } from "./read_lines.ts";

const question = z.object({
  question: z.object({
    stem: z.string().min(1),
    choices: z.array(z.object({ text: z.string().min(1), label: z.string() })).min(2),
  }),
  answerKey: z.string(),
});

/**
 * ARC-Easy (Clark et al., 2018): science questions of school exams with three to five answers. The model is asked for the
 * answer's whole text, with the prompt of lm-evaluation-harness.
 */
export const arcEasy: QuestionSet = {
  files: {
    train: ["arc_easy/ARC-Easy-Train.jsonl"],
    dev: ["arc_easy/ARC-Easy-Dev.jsonl"],
    test: ["arc_easy/ARC-Easy-Test.jsonl"],
  },
  home: "https://ai2-public-datasets.s3.amazonaws.com/arc/ARC-V1-Feb2018.zip",
  parse: (text, file) =>
    readLines(text, file).map((line) => {
      const parsed = question.safeParse(parseJsonLine(line));
      if (!parsed.success) throw wrongLine(line, "a question with stem, choices and answerKey");
      const { question: { stem, choices }, answerKey } = parsed.data;
      const answer = choices.findIndex(({ label }) => label === answerKey);
      if (answer < 0) throw wrongLine(line, `a choice with the label ${answerKey}`);
      return {
        context: `Question: ${stem}\nAnswer:`,
        continuations: choices.map(({ text }) => ` ${text}`),
        answer,
      };
    }),
};
