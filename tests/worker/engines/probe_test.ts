import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { ask, probeCompute } from "../../../worker/engines/probe.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

/** Asks a program of this text. */
async function askProgram(text: string, timeoutMs = 20_000) {
  let asked: Awaited<ReturnType<typeof ask<{ n: number }>>> | undefined;
  await inTempDir(async (dir) => {
    const module = join(dir, "program.js");
    await Deno.writeTextFile(module, text);
    asked = await ask({ module, words: ["7"], schema: z.strictObject({ n: z.number() }), timeoutMs });
  });
  return asked;
}

Deno.test("ask() takes the answer among what a native library prints, before and after", async () => {
  const asked = await askProgram(`
    console.log("{ loading"); console.log('{"n":"no"}');
    console.log(JSON.stringify({ n: Number(Deno.args[0]) }));
    console.log("bye");
  `);
  assert.deepEqual(asked, { answer: { n: 7 } });
});

Deno.test("ask() outlives a program that crashes, and says how it ended", async () => {
  const asked = await askProgram(`
    console.error("about to fall");
    new Deno.UnsafePointerView(Deno.UnsafePointer.create(8n)).getInt32();
  `);
  assert.deepEqual(asked, { failure: "the attempt ended with SIGSEGV (about to fall)" });
});

Deno.test("ask() says with what status a program without an answer ended", async () => {
  assert.deepEqual(await askProgram(`Deno.exit(3);`), { failure: "the attempt ended with status 3" });
});

Deno.test("ask() ends a program that hangs", async () => {
  const asked = await askProgram(`setInterval(() => {}, 1000);`, 500);
  assert.deepEqual(asked, { failure: "no answer within 0.5 s" });
});

Deno.test({
  name: "ask() says that it may start nothing",
  permissions: { run: false, read: true, write: true },
  fn: async () =>
    assert.deepEqual(await askProgram(""), { failure: "it cannot be tried as --allow-run is denied" }),
});

Deno.test("probeCompute() has an engine compute, and holds its result against the reference", async () => {
  const trial = await probeCompute({ engine: "onnx", device: "cpu" }, { runOptions: [] });
  assert.deepEqual(trial, { works: true, hardware: null, software: null });
});

Deno.test("probeCompute() refuses an engine that computes elsewhere, one that is wrong, and one that is none", () =>
  inTempDir(async (dir) => {
    const reference = new URL("../../../worker/engines/reference.ts", import.meta.url).href;
    const wrong = join(dir, "wrong.ts");
    await Deno.writeTextFile(
      wrong,
      `import { ReferenceEngine } from ${JSON.stringify(reference)};
      class WrongEngine extends ReferenceEngine {
        async trainer(shape) {
          const { gradients } = await super.trainer(shape);
          return { graph: null, gradients: async (...args) => await gradients(...args) * 1.01 };
        }
      }
      export const open = (options) => new WrongEngine(options);`,
    );
    const why = async (engine: string, device: "cpu" | "cuda") => {
      const trial = await probeCompute({ engine, device }, { runOptions: [] });
      return trial.works ? "works" : trial.why;
    };
    assert.equal(await why("reference", "cuda"), "it computes on the cpu");
    assert.match(await why(wrong, "cpu"), /^its results are wrong by 0\.0\d+$/);
    assert.match(await why(join(dir, "none.ts"), "cpu"), /none\.ts/);
  }));
