import assert from "node:assert/strict";
import { isHeldOut } from "../../../shared/data/held_out.ts";
import { openTask } from "../../../shared/tasks/open_task.ts";
import { SortTask } from "../../../shared/tasks/sort.ts";
import { addTotals, type Metric, type Totals } from "../../../shared/tasks/task.ts";
import { wilsonInterval } from "../../../shared/statistics.ts";

const OPTIONS = {
  sort: { length: 6, values: 5 },
  probe: { length: 4, values: 8 },
  seed: 1337,
  eval_items: 50,
  batch_size: 8,
};

/** Runs a task with a model that answers each input with `answer(input)`. */
function evaluate(
  task: SortTask,
  answer: (input: number[]) => number[],
): { total: Totals; metrics: Metric[] } {
  const totals: Totals[] = [];
  for (let batch = 0; batch < task.batchCount; batch++) {
    totals.push(task.score(batch, outputOf(task, { batch, answer })));
  }
  const total = addTotals(totals);
  return { total, metrics: task.summarize(total) };
}

function outputOf(
  task: SortTask,
  { batch, answer }: { batch: number; answer: (input: number[]) => number[] },
): Int32Array {
  const { batchSize, promptLength, prompts } = task.request(batch);
  const rows = Array.from({ length: batchSize }, (_, row) => {
    const prompt = [...prompts.subarray(row * promptLength, (row + 1) * promptLength)];
    assert.equal(prompt.pop(), OPTIONS.sort.values); // the separator
    return answer(prompt);
  });
  return Int32Array.from(rows.flat());
}

function sorted(input: number[]): number[] {
  return input.toSorted((a, b) => a - b);
}

function valueOf(metrics: Metric[], name: string): number {
  const metric = metrics.find((one) => one.name === name);
  assert.ok(metric !== undefined, `no metric ${name}`);
  return metric.value;
}

Deno.test("SortTask gives a perfect sorter 1 everywhere, with Wilson's interval over the items", () => {
  const { total, metrics } = evaluate(new SortTask(OPTIONS), sorted);
  assert.equal(total.items, 50); // the padding of the last batch is not counted
  assert.ok(metrics.every(({ value }) => value === 1));
  assert.deepEqual(metrics[0], {
    name: "exact_match",
    value: 1,
    ...wilsonInterval(50, 50),
    chance: 5 ** -6,
    n: 50,
  });
  assert.deepEqual(metrics.map(({ name }) => name).slice(0, 4), [
    "exact_match",
    "token_accuracy",
    "repeats_kept",
    "repeats_kept_2x",
  ]);
});

Deno.test("SortTask counts wrong numbers and lost repeats as an independent count does", () => {
  const dropRepeats = (input: number[]) => {
    const distinct = [...new Set(sorted(input))];
    return [...distinct, ...new Array(input.length - distinct.length).fill(4)];
  };
  const inputs: number[][] = [];
  const task = new SortTask(OPTIONS);
  const { metrics } = evaluate(task, (input) => {
    inputs.push(input);
    return dropRepeats(input);
  });
  const items = inputs.slice(0, 50);
  const pairs = items.flatMap((input) => {
    const answer = dropRepeats(input);
    return [0, 1, 2, 3, 4].map((value) => ({
      times: input.filter((x) => x === value).length,
      kept: answer.filter((x) => x === value).length === input.filter((x) => x === value).length,
    })).filter(({ times }) => times >= 2);
  });
  const twice = pairs.filter(({ times }) => times === 2);
  assert.ok(twice.length > 10);
  assert.equal(valueOf(metrics, "repeats_kept"), pairs.filter(({ kept }) => kept).length / pairs.length);
  assert.equal(valueOf(metrics, "repeats_kept_2x"), twice.filter(({ kept }) => kept).length / twice.length);
  const right = items.map((input) => dropRepeats(input).filter((x, i) => x === sorted(input)[i]).length);
  assert.equal(valueOf(metrics, "token_accuracy"), right.reduce((a, b) => a + b, 0) / 300);
  assert.equal(valueOf(metrics, "exact_match"), right.filter((count) => count === 6).length / 50);
});

Deno.test("SortTask states the chance level that a random answer reaches", () => {
  const task = new SortTask({ ...OPTIONS, eval_items: 4_000 });
  let state = 1;
  const random = () => state = (state * 48_271) % 2_147_483_647;
  const { metrics } = evaluate(task, (input) => input.map(() => random() % 5));
  for (const { name, value, chance } of metrics.slice(0, 4)) {
    assert.ok(Math.abs(value - chance) < 0.03, `${name}: ${value}, by chance ${chance}`);
  }
});

Deno.test("SortTask asks for held-out sequences, the same for any order of calls and batch size", () => {
  const inputsOf = (batch_size: number, order: (batches: number[]) => number[]) => {
    const task = new SortTask({ ...OPTIONS, batch_size });
    const inputs: string[] = new Array(50);
    for (const batch of order([...new Array(task.batchCount).keys()])) {
      const { prompts, promptLength } = task.request(batch);
      for (let row = 0; row < batch_size && batch * batch_size + row < 50; row++) {
        const input = prompts.subarray(row * promptLength, row * promptLength + 6);
        assert.ok(isHeldOut(input, 6));
        inputs[batch * batch_size + row] = input.join(" ");
      }
    }
    return inputs;
  };
  const expected = inputsOf(8, (batches) => batches);
  assert.deepEqual(inputsOf(8, (batches) => batches.toReversed()), expected);
  assert.deepEqual(inputsOf(50, (batches) => batches), expected);
});

Deno.test("SortTask.show() marks the wrong places", () => {
  const task = new SortTask({ ...OPTIONS, sort: { length: 6, values: 12 } });
  const { prompts } = task.request(0);
  const input = [...prompts.subarray(0, 6)];
  const wanted = sorted(input);
  const right = Int32Array.from(wanted);
  const wrong = right.with(2, 11).with(5, 0);
  const row = (values: number[]) => values.map((value) => String(value).padStart(2)).join(" ");
  assert.equal(task.show({ batch: 0, row: 0 }, right), `input  ${row(input)}\nanswer ${row(wanted)}`);
  assert.equal(
    task.show({ batch: 0, row: 0 }, wrong),
    `input  ${row(input)}\nanswer ${row([...wrong])}\nwrong         ^        ^\nwanted ${row(wanted)}`,
  );
});

Deno.test("openTask() refuses an unknown task and a text task without text", async () => {
  const options = { ...OPTIONS, block_size: 12, data_dir: null, task_data: null };
  assert.equal((await openTask("sort", options)).itemCount, 50);
  await assert.rejects(openTask("sorting", options), /"sorting" as --tasks takes sort, induction/);
  await assert.rejects(openTask("perplexity", options), /--data_dir/);
});
