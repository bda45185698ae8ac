import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { arcEasy } from "../../../shared/data/questions/arc_easy.ts";
import { babi } from "../../../shared/data/questions/babi.ts";
import { cola } from "../../../shared/data/questions/cola.ts";
import { lambada } from "../../../shared/data/questions/lambada.ts";
import type { Question, QuestionSet } from "../../../shared/data/questions/question.ts";
import { sst2 } from "../../../shared/data/questions/sst2.ts";
import { parseTable, parseTableTask } from "../../../shared/data/questions/table.ts";

/** The public files, where they are. */
const DATA = fileURLToPath(new URL("../../../../shared/data", import.meta.url));

Deno.test("lambada.parse() asks for the last word", () => {
  const [question] = lambada.parse('{"text": "He said \\"no\\" to Shane"}\n', "l.jsonl");
  assert.deepEqual(question, { context: 'He said "no" to', continuations: [" Shane"], answer: 0 });
  assert.throws(() => lambada.parse('{"text": "one "}', "l.jsonl"), /l\.jsonl:1 as a "text" that ends/);
  assert.throws(() => lambada.parse("\n\n{", "l.jsonl"), /l\.jsonl:3 as a JSON object/);
});

Deno.test("arcEasy.parse() offers the answers as they are, also of numbered labels", () => {
  const line = (answerKey: string) =>
    JSON.stringify({
      id: "x",
      question: { stem: "Why?", choices: [{ text: "So", label: "1" }, { text: "No", label: "2" }] },
      answerKey,
    });
  assert.deepEqual(arcEasy.parse(line("2"), "a"), [
    { context: "Question: Why?\nAnswer:", continuations: [" So", " No"], answer: 1 },
  ]);
  assert.throws(() => arcEasy.parse(line("C"), "a"), /a:1 as a choice with the label C is required/);
});

Deno.test("babi().parse() gives a question the story so far, without earlier questions", () => {
  const text = "1 Ann went to the hall.\n2 Where is Ann? \thall\t1\n3 Ann went out.\n" +
    "4 Where is Ann? \tout\t3\n1 Bob left.\n2 Where is Bob? \thall\t1\n";
  const questions = babi(1).parse(text, "b");
  assert.deepEqual(questions.map(({ context }) => context), [
    "Ann went to the hall.\nQuestion: Where is Ann?\nAnswer:",
    "Ann went to the hall.\nAnn went out.\nQuestion: Where is Ann?\nAnswer:",
    "Bob left.\nQuestion: Where is Bob?\nAnswer:",
  ]);
  assert.deepEqual(questions.map(({ answer }) => answer), [0, 1, 0]);
  assert.deepEqual(questions[0].continuations, [" hall", " out"]);
  assert.throws(() => babi(1).parse("Ann went\n", "b"), /b:1 as a numbered sentence/);
});

Deno.test("cola.parse() and sst2.parse() read label and sentence", () => {
  const [bad] = cola.parse("gj04\t0\t*\tThe the.\n", "c");
  assert.deepEqual([bad.continuations[bad.answer], bad.context.split("\n")[0]], [" no", "The the."]);
  const [good] = sst2.parse("1 a fine film \n", "s");
  assert.deepEqual([good.continuations[good.answer], good.context.split("\n")[0]], [
    " positive",
    "a fine film",
  ]);
  assert.throws(() => cola.parse("gj04 0 The", "c"), /c:1/);
  assert.throws(() => sst2.parse("2 so", "s"), /s:1/);
});

const address = "rte.tsv?text=sentence1&text=sentence2&label=label&ask=Does+it+follow%3F&not_entailment=no";

Deno.test("parseTable() shows the named columns and lets words stand for labels", () => {
  const task = parseTableTask(address);
  assert.deepEqual(task.text, ["sentence1", "sentence2"]);
  const text = 'index\tlabel\tsentence1\tsentence2\n0\tnot_entailment\tA "b\tC\n1\tentailment\tD\tE\n';
  const [first, second] = parseTable(text, task);
  assert.equal(first.context, 'A "b\nC\nQuestion: Does it follow?\nAnswer:');
  assert.deepEqual(first.continuations, [" entailment", " no"]);
  assert.deepEqual([first.answer, second.answer], [1, 0]);
});

Deno.test("parseTable() reads JSON Lines, whose labels may be numbers", () => {
  const task = parseTableTask("x.jsonl?text=s&label=y&0=bad&1=good");
  const [question] = parseTable('{"s":"Hm","y":1}\n{"s":"Ha","y":0}\n', task);
  assert.deepEqual(question, { context: "Hm\nAnswer:", continuations: [" bad", " good"], answer: 1 });
});

Deno.test("parseTable() and parseTableTask() refuse what they cannot read", () => {
  assert.throws(() => parseTableTask("x.tsv?text=s"), /file and its columns are required/);
  assert.throws(() => parseTableTask("x.tsv"), /classify:FILE\.tsv\?text=sentence&label=label/);
  const task = parseTableTask("x.tsv?text=s&label=y");
  assert.throws(() => parseTable("s\tz\nA\t1\n", task), /x\.tsv:2 as a value of "y" is required/);
  assert.throws(() => parseTable("s\ty\nA\t1\n", task), /two labels at least are required: it has 1/);
});

const SETS: [string, QuestionSet, { questions: number; choices: number[]; repeated: number }][] = [
  ["lambada", lambada, { questions: 5153, choices: [1], repeated: 0 }],
  ["arc_easy", arcEasy, { questions: 2376, choices: [3, 4, 5], repeated: 2 }],
  ["babi/1", babi(1), { questions: 1000, choices: [6], repeated: 16 }],
  ["babi/2", babi(2), { questions: 1000, choices: [6], repeated: 0 }],
  ["babi/5", babi(5), { questions: 1000, choices: [7], repeated: 1 }],
  ["glue/cola", cola, { questions: 516, choices: [2], repeated: 13 }],
  ["glue/sst2", sst2, { questions: 1821, choices: [2], repeated: 2 }],
];

function read(set: QuestionSet, files: readonly string[]): Question[] {
  return files.flatMap((file) => set.parse(Deno.readTextFileSync(`${DATA}/${file}`), file));
}

for (const [name, set, { questions, choices, repeated }] of SETS) {
  const ignore = !existsSync(DATA);
  const why = ignore ? " (skipped: the public files are not here)" : "";
  Deno.test({
    name:
      `${name}: every question of the published test part is read; the parts repeat what docs/evaluation.md says${why}`,
    ignore,
    fn() {
      const test = read(set, set.files.test);
      assert.equal(test.length, questions);
      const counts = [...new Set(test.map(({ continuations }) => continuations.length))].sort();
      assert.deepEqual(counts, choices);
      const keyOf = ({ context, continuations }: Question) => `${context}\n${continuations}`;
      const learned = new Set(read(set, [...set.files.train, ...set.files.dev]).map(keyOf));
      assert.equal(test.filter((question) => learned.has(keyOf(question))).length, repeated);
    },
  });
}
