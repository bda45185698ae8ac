/** What a real TensorBoard shows of a run that was killed, and that went on while it looked. */
import assert from "node:assert/strict";
import { readEvals, readMetrics } from "../../shared/metrics.ts";
import { needing, PYTHON } from "../python.ts";
import { sandbox, TINY } from "./support.ts";

const RUN = [
  ...TINY,
  "--log_interval=1",
  "--nproc_per_node=1",
  "--out_dir=logs/run",
  "--lr_decay_iters=1000",
];

/** A server of `folder`; its own loader and the fast one read event files each in their own way. */
class TensorBoard {
  readonly #server: Deno.ChildProcess;
  #url: Promise<string>;

  constructor(folder: string, { fast }: { fast: boolean }) {
    this.#server = new Deno.Command(PYTHON, {
      args: [
        ...["-m", "tensorboard.main", `--logdir=${folder}`, "--port=0", "--reload_interval=1"],
        `--load_fast=${fast}`,
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#url = this.#address();
  }

  async #address(): Promise<string> {
    let text = "";
    for await (const piece of this.#server.stderr.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const [url] = /http:\/\/localhost:\d+/.exec(text) ?? [];
      if (url !== undefined) return url;
    }
    throw new Error(`TensorBoard has not started: ${text}`);
  }

  /** What a plugin answers. */
  // deno-lint-ignore no-explicit-any -- TensorBoard's JSON, compared as a whole
  async get(path: string, body?: object): Promise<any> {
    const url = `${await this.#url}/data/plugin/${path}`;
    const post = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(url, body === undefined ? {} : post);
    const text = await answer.text();
    assert.equal(answer.status, 200, `${url}: ${text}`);
    return JSON.parse(text);
  }

  /** Steps and values of a scalar. */
  async scalar(tag: string): Promise<[number, number][]> {
    const points = await this.get(`scalars/scalars?run=run&tag=${encodeURIComponent(tag)}`);
    return points.map(([, step, value]: [number, number, number]) => [step, value]);
  }

  /** Waits until it has read the step `step`. */
  async reads(step: number): Promise<void> {
    for (const began = Date.now();;) {
      assert.ok(Date.now() - began < 60_000, `TensorBoard has not read step ${step}`);
      const tags = await this.get("scalars/tags");
      if (tags.run?.lr !== undefined && (await this.scalar("lr")).some(([at]) => at === step)) return;
      await new Promise((wake) => setTimeout(wake, 200));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill("SIGTERM");
    await this.#server.status;
  }
}

Deno.test({
  ...await needing(["tensorboard"], "train: TensorBoard shows the scalars of metrics.jsonl and eval.jsonl"),
  async fn() {
    await using box = await sandbox();
    const run = box.path("logs", "run");
    const killed = box.start(["train", ...RUN, "--max_iters=100000", "--eval_items=0"]);
    await killed.says("iter 25:");
    killed.kill("SIGKILL");
    await killed.ended;
    const seen = (await Array.fromAsync(readMetrics(`${run}/metrics.jsonl`))).length;
    const steps = seen + 20;

    await using usual = new TensorBoard(box.path("logs"), { fast: false });
    await using fast = new TensorBoard(box.path("logs"), { fast: true });
    await Promise.all([usual.reads(seen - 1), fast.reads(seen - 1)]);
    const went = await box.run([
      "train",
      ...RUN,
      `--max_iters=${steps}`,
      "--eval_items=8",
      "--init_from=resume",
    ]);
    assert.equal(went.code, 0, went.err);

    const expected = new Map<string, [number, number][]>();
    const expect = (tag: string, step: number, value: unknown) => {
      if (typeof value !== "number") return;
      expected.set(tag, [...expected.get(tag) ?? [], [step, Math.fround(value)]]);
    };
    for await (const { step, time: _, loss, ...others } of readMetrics(`${run}/metrics.jsonl`)) {
      for (const [name, value] of Object.entries({ "train/loss": loss, ...others })) {
        expect(name, step, value);
      }
    }
    for await (const { step, task, metrics } of readEvals(`${run}/eval.jsonl`)) {
      for (const [name, value] of Object.entries(metrics)) {
        const estimated = { train_loss: "train/estimated_loss", val_loss: "val/loss" }[name];
        expect(task === "estimate" ? estimated ?? name : `${task}/${name}`, step, value);
      }
    }
    assert.equal(expected.get("train/loss")?.length, steps);
    assert.equal(eventFiles(run).filter((size) => size > 0).length, 1, "one file has all");
    assert.ok(expected.has("val/loss") && expected.has("sort/exact_match"));

    for (const board of [usual, fast]) {
      await board.reads(steps - 1);
      await new Promise((wake) => setTimeout(wake, 1_500)); // evaluations follow the last step
      assert.deepEqual(
        Object.keys((await board.get("scalars/tags")).run).sort(),
        [...expected.keys()].sort(),
      );
      for (const [tag, points] of expected) assert.deepEqual(await board.scalar(tag), points, tag);

      const shown = await board.get("text/text?run=run&tag=sort%2Fshown");
      assert.match(shown[0].text, /<pre><code>input /);
      const asked = { allowedStatuses: ["STATUS_SUCCESS"], startIndex: 0, sliceSize: 9, colParams: [] };
      const { sessionGroups: [group] } = await board.get("hparams/session_groups", asked);
      const { learning_rate, n_embd, bias, dataset } = group.hparams;
      assert.deepEqual({ learning_rate, n_embd, bias, dataset }, {
        ...{ learning_rate: 0.001, n_embd: 24, bias: false, dataset: "sort" },
      });
    }
  },
});

Deno.test("train --tensorboard=false: no event file", async () => {
  await using box = await sandbox();
  await box.train("run", [...TINY, "--max_iters=3", "--nproc_per_node=1", "--tensorboard=false"]);
  assert.deepEqual(eventFiles(box.path("run")), []);
});

/** Sizes of the event files in a folder. */
function eventFiles(folder: string): number[] {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.includes("tfevents")
  );
  return names.map((name) => Deno.statSync(`${folder}/${name}`).size);
}
