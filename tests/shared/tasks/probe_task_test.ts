import assert from "node:assert/strict";
import { PROBE_NAMES } from "../../../shared/data/probes/open_probe.ts";
import { CounterRandom } from "../../../shared/random.ts";
import { ProbeTask } from "../../../shared/tasks/probe_task.ts";
import { addTotals, type Metric, type Request } from "../../../shared/tasks/task.ts";
import { SOLVERS } from "../data/probes/solvers.ts";

const probe = { length: 6, values: 12 };
const OPTIONS = { probe, seed: 5, eval_items: 203, batch_size: 16 };

/** The figures where `answer` gives the answer to a prompt; of two rows that are compared, the likelier target. */
function evaluate(task: ProbeTask, answer: (prompt: Int32Array, row: number) => number[]): Metric[] {
  const outputs = Array.from(
    { length: task.batchCount },
    (_, batch) => outputOf(task.request(batch), answer),
  );
  return task.summarize(addTotals(outputs.map((output, batch) => task.score(batch, output))));
}

function outputOf(request: Request, answer: (prompt: Int32Array, row: number) => number[]) {
  const rows = [...Array(request.batchSize).keys()];
  if (request.kind === "generate") {
    const { prompts, promptLength } = request;
    return Int32Array.from(
      rows.flatMap((row) => answer(prompts.subarray(row * promptLength, (row + 1) * promptLength), row)),
    );
  }
  const { tokens, targets, length } = request;
  return Float32Array.from(rows.flatMap((row) => {
    const [id] = answer(tokens.subarray(row * length, (row + 1) * length), row);
    const nll = new Array(length).fill(0);
    nll[length - 1] = targets[(row + 1) * length - 1] === id ? 0.25 : 2.25;
    return nll;
  }));
}

for (const name of PROBE_NAMES) {
  Deno.test(`ProbeTask ${name}: a solver that sees only the prompt gets all right, also by group`, () => {
    const metrics = evaluate(new ProbeTask(name, OPTIONS), (prompt) => SOLVERS[name](prompt, probe));
    for (const { name, value, low, n } of metrics) {
      if (name === "logit_difference") assert.equal(value, 2);
      else assert.equal(value, 1, name);
      assert.ok(low > 0 && n > 0, name);
    }
    assert.equal(metrics[0].n, 203);
    const groups = metrics.filter((metric) => metric.name.includes(", "));
    assert.equal(groups.reduce((sum, { n }) => sum + n, 0), 203);
  });

  Deno.test(`ProbeTask ${name}: guessing comes out at its stated chance`, () => {
    const task = new ProbeTask(name, { ...OPTIONS, eval_items: 4_000 });
    const random = CounterRandom.fromSeed(9, name);
    let at = 0;
    const guess = (prompt: Int32Array, row: number) =>
      SOLVERS[name](prompt, probe).map((right) => {
        if (name === "ioi") return random.below(2, Math.floor(at++ / 2) + 0 * row) === 0 ? right : -1;
        const first = name === "kv_retrieval" ? probe.values : 0;
        const ids = name === "multiplication" ? 10 : probe.values;
        return first + random.below(ids, at++);
      });
    const [metric, ofToken] = evaluate(task, guess);
    const shown = ofToken?.name === "token_accuracy" ? ofToken : metric;
    const deviation = Math.sqrt(shown.chance * (1 - shown.chance) / shown.n);
    assert.ok(
      Math.abs(shown.value - shown.chance) < 4 * deviation + 1e-3,
      `${shown.value} at ${shown.chance}`,
    );
  });
}
