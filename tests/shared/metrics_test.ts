import assert from "node:assert/strict";
import { join } from "node:path";
import { JsonlWriter, readJsonl } from "../../shared/jsonl.ts";
import { type MetricsLine, openEvals, openMetrics, readEvals, readMetrics } from "../../shared/metrics.ts";
import { inTempDir } from "./temp_dir.ts";

function line(step: number): MetricsLine {
  return { step, loss: 3.5, lr: 1e-3, grad_norm: 1, tokens: 512, tokens_per_sec: 100, mfu: null, dt_ms: 5 };
}

async function stepsIn(path: string): Promise<number[]> {
  return (await Array.fromAsync(readMetrics(path))).map(({ step }) => step);
}

Deno.test("openMetrics() appends lines that readMetrics() streams, and goes on where it stopped", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    assert.deepEqual(await stepsIn(path), []);
    for (const step of [0, 1]) {
      using metrics = await openMetrics(path);
      metrics.append({ ...line(step), loss: step === 0 ? NaN : 2, extra: 7 });
    }
    assert.deepEqual(await Array.fromAsync(readMetrics(path)), [
      { ...line(0), loss: null, extra: 7 },
      { ...line(1), loss: 2, extra: 7 },
    ]);
  });
});

Deno.test("openMetrics() cuts off a last line that was torn at any byte", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    const whole = new TextEncoder().encode(JSON.stringify(line(0)) + "\n");
    for (let bytes = 0; bytes < whole.byteLength; bytes++) {
      await Deno.writeFile(path, Uint8Array.of(...whole, ...whole.subarray(0, bytes)));
      assert.deepEqual(await stepsIn(path), [0]);
      using metrics = await openMetrics(path);
      metrics.append(line(1));
      assert.deepEqual(await stepsIn(path), [0, 1]);
    }
  });
});

Deno.test("openMetrics() and openEvals() cut off what a resumed run will write again", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    {
      using metrics = await openMetrics(path);
      for (let step = 0; step < 10; step++) metrics.append(line(step));
    }
    using metrics = await openMetrics(path, { resumeAt: 4 });
    metrics.append(line(4));
    assert.deepEqual(await stepsIn(path), [0, 1, 2, 3, 4]);

    const evals = join(dir, "eval.jsonl");
    {
      using writer = await openEvals(evals);
      for (const step of [2, 4, 6]) writer.append({ step, task: "sort", metrics: { exact: 1 } });
    }
    using _writer = await openEvals(evals, { resumeAt: 4 });
    assert.deepEqual((await Array.fromAsync(readEvals(evals))).map(({ step }) => step), [2, 4]);
  });
});

Deno.test("readMetrics() names what is wrong with a line; openMetrics() goes on all the same", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    await Deno.writeTextFile(path, `${JSON.stringify(line(0))}\nrubbish\n`);
    await assert.rejects(stepsIn(path), {
      code: "E_DECODE",
      message: `Cannot read ${path} as its line 2 is no JSON`,
    });
    await Deno.writeTextFile(path, `{"step":-1}\n`);
    await assert.rejects(stepsIn(path), { code: "E_DECODE", message: /as a line's "step" is wrong/ });
    using metrics = await openMetrics(path, { resumeAt: 0 });
    metrics.append(line(0));
    assert.equal((await Array.fromAsync(readJsonl(path))).length, 2);
  });
});

Deno.test("readJsonl() joins lines over pieces and bounds their length", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.jsonl");
    const values = [{ text: "é".repeat(50_000) }, { text: "" }, { text: "b".repeat(200_000) }];
    await Deno.writeTextFile(path, values.map((value) => JSON.stringify(value) + "\n").join(""));
    assert.deepEqual(await Array.fromAsync(readJsonl(path)), values);
    await Deno.writeFile(path, new Uint8Array(3 << 20).fill(0x20));
    await assert.rejects(Array.fromAsync(readJsonl(path)), {
      code: "E_TOO_LARGE",
      message: /its line 1 is longer/,
    });
  });
});

Deno.test("JsonlWriter.open() says E_OUT_DIR where it cannot write", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "file"), "");
    await assert.rejects(JsonlWriter.open(join(dir, "file", "x.jsonl")), { code: "E_OUT_DIR" });
  });
});
