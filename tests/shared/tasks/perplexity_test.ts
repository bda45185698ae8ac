import assert from "node:assert/strict";
import { join } from "node:path";
import { openTask } from "../../../shared/tasks/open_task.ts";
import {
  addTotals,
  type NllRequest,
  type Request,
  type Task,
  type Totals,
} from "../../../shared/tasks/task.ts";

const OPTIONS = {
  sort: { length: 16, values: 16 },
  probe: { length: 4, values: 8 },
  seed: 1,
  eval_items: 10,
  task_data: null,
  batch_size: 3,
  block_size: 4,
};

async function withText(tokens: number[], test: (data_dir: string) => Promise<void>): Promise<void> {
  const data_dir = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(data_dir, "val.bin"), new Uint8Array(Uint16Array.from(tokens).buffer));
    await test(data_dir);
  } finally {
    await Deno.remove(data_dir, { recursive: true });
  }
}

function asNll(request: Request): NllRequest {
  assert.ok(request.kind === "nll");
  return request;
}

/** A stand-in for the model: a loss that tells which token predicts which, 0 where nothing is asked. */
function lossesOf({ tokens, targets }: NllRequest): Float32Array {
  return Float32Array.from(targets, (target, i) => target < 0 ? 0 : Math.fround(tokens[i] / 8 + target / 64));
}

function evaluate(task: Task): Totals {
  const totals: Totals[] = [];
  for (let batch = 0; batch < task.batchCount; batch++) {
    totals.push(task.score(batch, lossesOf(asNll(task.request(batch)))));
  }
  return addTotals(totals);
}

Deno.test("PerplexityTask cuts the validation part as exact_loss of the baseline: whole windows, none twice", async () => {
  const tokens = Array.from({ length: 23 }, (_, i) => (i * 7) % 16); // (23 − 1) / 4: 5 windows
  await withText(tokens, async (data_dir) => {
    const task = await openTask("perplexity", { ...OPTIONS, data_dir });
    assert.deepEqual([task.itemCount, task.batchCount], [5, 2]);
    const last = asNll(task.request(1));
    assert.deepEqual([...last.tokens], [...tokens.slice(12, 20), 0, 0, 0, 0]);
    assert.deepEqual([...last.targets], [...tokens.slice(13, 21), -1, -1, -1, -1]);

    let expected = 0;
    for (let i = 0; i < 20; i++) expected += tokens[i] / 8 + tokens[i + 1] / 64;
    const [loss, perplexity, ...quarters] = task.summarize(evaluate(task));
    assert.ok(Math.abs(loss.value - expected / 20) < 1e-12);
    assert.equal(loss.n, 5);
    assert.equal(loss.chance, Math.log(50_257));
    assert.ok(loss.low < loss.value && loss.value < loss.high);
    assert.equal(perplexity.value, Math.exp(loss.value));
    assert.deepEqual(quarters.map(({ name }) => name), [1, 2, 3, 4].map((i) => `loss, tokens ${i} to ${i}`));
    const third = [2, 6, 10, 14, 18].reduce((sum, i) => sum + tokens[i] / 8 + tokens[i + 1] / 64, 0);
    assert.ok(Math.abs(quarters[2].value - third / 5) < 1e-12);
    task.close();
  });
});

Deno.test("PerplexityTask gives the same loss for any batch size", async () => {
  await withText(Array.from({ length: 101 }, (_, i) => (i * i) % 60), async (data_dir) => {
    const losses = await Promise.all([1, 7, 25, 100].map(async (batch_size) => {
      const task = await openTask("perplexity", { ...OPTIONS, data_dir, batch_size });
      const [loss] = task.summarize(evaluate(task));
      task.close();
      return loss.value;
    }));
    for (const loss of losses) assert.ok(Math.abs(loss - losses[0]) < 1e-12);
  });
});

Deno.test("PerplexityTask refuses a validation part without a whole window", async () => {
  await withText([1, 2, 3, 4], async (data_dir) => {
    await assert.rejects(
      openTask("perplexity", { ...OPTIONS, data_dir }),
      /more than block_size = 4 tokens: it holds 4/,
    );
  });
});
