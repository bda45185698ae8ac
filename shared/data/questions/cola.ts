import type { QuestionSet } from "./question.ts";
import { readLines, wrongLine } from "./read_lines.ts";

/**
 * CoLA (Warstadt et al., 2018), in GLUE: whether a sentence is acceptable English; 1, "yes", is acceptable. The prompt is
 * that of lm-evaluation-harness. The public part has no labelled test sentences: the out-of-domain ones stand in.
 */
export const cola: QuestionSet = {
  files: {
    train: ["glue/cola/in_domain_train.tsv"],
    dev: ["glue/cola/in_domain_dev.tsv"],
    test: ["glue/cola/out_of_domain_dev.tsv"],
  },
  home: "https://nyu-mll.github.io/CoLA/cola_public_1.1.zip",
  parse: (text, file) =>
    readLines(text, file).map((line) => {
      const [, label, , sentence] = line.text.split("\t"); // source, label, the author's mark, sentence
      if ((label !== "0" && label !== "1") || !sentence) {
        throw wrongLine(line, "a source, a label 0 or 1, a mark and a sentence with tabs between them");
      }
      return {
        context: `${sentence}\nQuestion: Does this sentence make sense?\nAnswer:`,
        continuations: [" no", " yes"],
        answer: Number(label),
      };
    }),
};
