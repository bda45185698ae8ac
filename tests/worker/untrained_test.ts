/** What a model that has learned nothing gets: guessing must come out at the chance that each task states. */
import assert from "node:assert/strict";
import { parseRunConfig } from "../../shared/config/parse_run_config.ts";
import { openDataset } from "../../shared/data/datasets/open_dataset.ts";
import { arcEasy } from "../../shared/data/questions/arc_easy.ts";
import { babi } from "../../shared/data/questions/babi.ts";
import { cola } from "../../shared/data/questions/cola.ts";
import type { Question } from "../../shared/data/questions/question.ts";
import { sst2 } from "../../shared/data/questions/sst2.ts";
import { ByteTokenizer } from "../../shared/data/tokenizers/byte_tokenizer.ts";
import { CounterRandom } from "../../shared/random.ts";
import { ChoicesTask } from "../../shared/tasks/choices.ts";
import { PerplexityTask } from "../../shared/tasks/perplexity.ts";
import { addTotals, type Metric, type Task, type Totals } from "../../shared/tasks/task.ts";
import { open } from "../../worker/engines/onnx.ts";
import { Evaluator } from "../../worker/evaluator.ts";
import { initialize } from "../../worker/model/init.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { withRig } from "./engines/rig.ts";
import { tinyConfig, tinyModel } from "./tiny_model.ts";
import { writeTinyText } from "./tiny_run.ts";

const MODEL = tinyConfig({ n_layer: 1, n_head: 2, n_embd: 8, block_size: 160, vocab_size: 256 });
const SIZE = { batch_size: 16, block_size: MODEL.block_size };
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const ITEMS = 60;

/** Evaluates tasks with an untrained model of bytes, by seed. */
type Untrained = (seed: number, task: Task) => Promise<Metric[]>;

async function withUntrained(use: (evaluate: Untrained) => Promise<void>): Promise<void> {
  const config = parseRunConfig({ vocab_size: 256 }, { source: "test" });
  const dataset = await openDataset(config);
  await withRig({ model: await tinyModel(MODEL), open }, async ({ engine, model, parameters }) => {
    const evaluator = new Evaluator(engine, dataset, config);
    await use(async (seed, task) => {
      initialize(model, parameters.view, seed);
      const totals: Totals[] = [];
      for (let batch = 0; batch < task.batchCount; batch++) {
        totals.push(task.score(batch, await evaluator.answer(task.request(batch))));
      }
      return task.summarize(addTotals(totals));
    });
  });
}

/** Words of random letters, drawn anew for each `line`. */
function words(line: number, count: number): string[] {
  const random = CounterRandom.fromSeed(1, "words", `${line}`);
  return Array.from({ length: count }, (_, word) => {
    const length = 2 + random.below(8, 100 * word);
    const letters = Array.from({ length }, (_, i) => 97 + random.below(26, 100 * word + i + 1));
    return String.fromCharCode(...letters);
  });
}

const lines = Array.from({ length: ITEMS }, (_, line) => words(line, 9));
const arcLine = (line: string[]) =>
  JSON.stringify({
    question: { stem: `${line[0]}?`, choices: [1, 2, 3, 4].map((i) => ({ text: line[i], label: `${i}` })) },
    answerKey: "1",
  });

/** Every choice task, on made-up lines of its own format. */
const CHOICES: Readonly<Record<string, Question[]>> = {
  arc_easy: arcEasy.parse(lines.map(arcLine).join("\n"), "arc"),
  babi: babi(1).parse(
    lines.map(([a, b], i) => `1 ${a} went ${b}.\n2 Where is ${a}? \t${"abcdef"[i % 6].repeat(4)}\t1`).join(
      "\n",
    ),
    "babi",
  ),
  cola: cola.parse(lines.map((line, i) => `x\t${i % 2}\t\t${line.join(" ")}.`).join("\n"), "cola"),
  sst2: sst2.parse(lines.map((line, i) => `${i % 2} ${line.join(" ")} .`).join("\n"), "sst2"),
};

/** The right answer of each question drawn anew, so that no habit of the model helps it. */
function shuffled(questions: readonly Question[], seed: number): Question[] {
  const random = CounterRandom.fromSeed(seed, "answers");
  return questions.map((question, i) => ({
    ...question,
    answer: random.below(question.continuations.length, i),
  }));
}

for (const [name, all] of Object.entries(CHOICES)) {
  Deno.test(`ChoicesTask: ten untrained models, answers of ${name} shuffled, come out at chance`, () =>
    withUntrained(async (evaluate) => {
      const right = { accuracy: 0, accuracy_norm: 0 };
      let chance = 0;
      for (const seed of SEEDS) {
        const task = new ChoicesTask({
          name,
          questions: shuffled(all, seed),
          tokenizer: new ByteTokenizer(),
          metrics: ["accuracy", "accuracy_norm", "matthews"],
          ...SIZE,
        });
        const [accuracy, norm, matthews] = await evaluate(seed, task);
        assert.equal(accuracy.n, ITEMS);
        right.accuracy += accuracy.value / SEEDS.length;
        right.accuracy_norm += norm.value / SEEDS.length;
        chance = accuracy.chance;
        if (name === "cola") assert.ok(matthews.low <= 0 && 0 <= matthews.high, `matthews of seed ${seed}`);
      }
      assert.equal(Math.round(1 / chance), all[0].continuations.length);
      const error = Math.sqrt(chance * (1 - chance) / (SEEDS.length * ITEMS));
      for (const [metric, mean] of Object.entries(right)) {
        assert.ok(Math.abs(mean - chance) < 3 * error, `${metric} is ${mean} at a chance of ${chance}`);
      }
    }));
}

Deno.test("PerplexityTask: an untrained model is as perplexed as the vocabulary is large, at every position", () =>
  inTempDir((dir) =>
    withUntrained(async (evaluate) => {
      const text = lines.slice(0, 40).map((line) => line.join(" ")).join("\n").repeat(3);
      const { data_dir } = await writeTinyText(dir, text, "byte");
      for (const seed of SEEDS.slice(0, 3)) {
        const task = await PerplexityTask.open({ data_dir, ...SIZE });
        const metrics = await evaluate(seed, task);
        task.close();
        for (const { name, value, chance } of metrics) {
          const perplexity = name === "perplexity" ? value : Math.exp(value);
          assert.ok(Math.abs(perplexity / 256 - 1) < 0.05, `${name} of seed ${seed} is ${value}`);
          assert.ok(Math.abs(chance - (name === "perplexity" ? 256 : Math.log(256))) < 1e-9, name);
        }
      }
    })
  ));
