import assert from "node:assert/strict";
import { type Sandbox, sandbox, TINY } from "./support.ts";

const TEXT = Array.from({ length: 400 }, (_, i) => `The ${i % 7} whales and ${i * i % 11} ships. é\n`).join(
  "",
);

/** Trains once in one process, then with each number of workers, and wants the same bytes. */
async function assertSameBits(
  box: Sandbox,
  words: readonly string[],
  workers: readonly number[],
): Promise<void> {
  const expected = await box.train("one", [...words, "--nproc_per_node=1"]);
  for (const count of workers) {
    const found = await box.train(`run-${count}`, [...words, `--nproc_per_node=${count}`]);
    assert.equal(found, expected, `${count} workers gave other weights than one process`);
  }
}

Deno.test("train gives the same bytes in one process and with 2, 3, 4 and 8 workers, and one over a TCP socket", async () => {
  await using box = await sandbox();
  await assertSameBits(box, TINY, [2, 3, 4, 8]);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const words = [...TINY, "--nproc_per_node=1", `--rdzv_endpoint=127.0.0.1:${port}`];
  assert.equal(await box.train("tcp", words), await box.weights("one"));
  assert.deepEqual(box.leftovers(), []);
});

Deno.test("train gives the same bytes for an uneven tree of 6 with dropout, on a text by characters", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("text.txt"), TEXT);
  const words = [...TINY, "--dataset=text", "--data=text.txt", "--attention=causal", "--dropout=0.2"];
  await assertSameBits(box, [...words, "--gradient_accumulation_steps=6"], [2, 3, 4]);
});

Deno.test("train gives the same bytes for an uneven tree of 12, with the router on bytes", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("text.txt"), TEXT);
  const words = [...TINY, "--dataset=text", "--data=text.txt", "--tokenizer=byte", "--attention=router"];
  await assertSameBits(box, [...words, "--gradient_accumulation_steps=12"], [2, 3, 4]);
});

Deno.test("train gives the same bytes when it is killed half way and resumed with another number of workers", async () => {
  await using box = await sandbox();
  const words = [...TINY, "--dropout=0.1", "--batch_size=16", "--eval_interval=10"];
  const expected = await box.train("whole", [...words, "--nproc_per_node=1"]);
  const killed = box.start(["train", ...words, "--nproc_per_node=2", "--out_dir=killed"]);
  await killed.says("step-00000010");
  killed.kill("SIGKILL");
  assert.notEqual((await killed.ended).code, 0, "it ended before it was killed");
  const resumed = await box.train("killed", ["--init_from=resume", "--nproc_per_node=3"]);
  assert.equal(resumed, expected);
});
