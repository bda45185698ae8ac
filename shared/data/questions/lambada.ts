import { z } from "zod";
import type { QuestionSet } from "./question.ts";
import { parseJsonLine, readLines, wrongLine } from "./read_lines.ts";

const passage = z.object({ text: z.string().regex(/\S.* [^ ]+$/s) });

/**
 * LAMBADA (Paperno et al., 2016; OpenAI's version): the last word of a passage, which needs the whole passage. As in
 * lm-evaluation-harness the context ends before the last space; so seven of the
 * words begin with another's end and a line break.
 */
export const lambada: QuestionSet = {
  files: { train: [], dev: [], test: ["lambada_test.jsonl"] },
  home: "https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl",
  parse: (text, file) =>
    readLines(text, file).map((line) => {
      const parsed = passage.safeParse(parseJsonLine(line));
      if (!parsed.success) throw wrongLine(line, 'a "text" that ends with a word');
      const end = parsed.data.text.lastIndexOf(" ");
      return {
        context: parsed.data.text.slice(0, end),
        continuations: [parsed.data.text.slice(end)],
        answer: 0,
      };
    }),
};
