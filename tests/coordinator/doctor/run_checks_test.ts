/** What a run brings with it: its folder, data, keys and port. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type CheckResult, runCheck } from "../../../coordinator/doctor/check.ts";
import { dataCheck } from "../../../coordinator/doctor/data_check.ts";
import { diskCheck } from "../../../coordinator/doctor/disk_check.ts";
import { keysCheck } from "../../../coordinator/doctor/keys_check.ts";
import { portCheck } from "../../../coordinator/doctor/port_check.ts";
import { prepareText } from "../../../shared/data/prepare.ts";
import { writeKeyFiles } from "../../../shared/key_files.ts";
import { makeRunKeys } from "../../../shared/keys.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { zmqTest } from "../../shared/zmq/zmq_test_support.ts";
import { contextOf, NEEDS } from "./context.ts";

function assertFound({ status, detail, fix }: CheckResult, expected: string, said: RegExp): void {
  assert.equal(status, expected, detail);
  assert.match(detail, said);
  assert.equal(fix === null, expected === "ok");
}

Deno.test("diskCheck() measures where out_dir will be, leaves nothing, and asks for room for every checkpoint", () =>
  inTempDir(async (dir) => {
    const words = [`--out_dir=${join(dir, "not", "yet")}`];
    assertFound(await runCheck(diskCheck(), await contextOf(words)), "ok", /free in .*MB\/s/);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    const huge = { needs: { ...NEEDS, checkpointBytes: 1e15 } };
    assertFound(
      await runCheck(diskCheck(), await contextOf(words, huge)),
      "failure",
      /TiB needed/,
    );
    await Deno.writeTextFile(join(dir, "file"), "");
    const below = await contextOf([`--out_dir=${join(dir, "file", "run")}`]);
    assertFound(await runCheck(diskCheck(), below), "failure", /E_OUT_DIR/);
  }));

Deno.test("dataCheck() knows data that are made from the seed, and misses the files of questions", async () => {
  const found = async (...words: string[]) => await runCheck(dataCheck(), await contextOf(words));
  assertFound(await found("--dataset=kv_retrieval"), "ok", /items of kv_retrieval, made from the seed/);
  assertFound(await found("--dataset=glue/cola", "--task_data=/nowhere"), "failure", /E_DATA/);
});

Deno.test("dataCheck() holds prepared files against their hashes", () =>
  inTempDir(async (dir) => {
    const text = join(dir, "text.txt"), data_dir = join(dir, "data");
    await Deno.writeTextFile(text, "to be or not to be ".repeat(50));
    await prepareText({ data: text, data_dir, tokenizer: "char", text_field: "text", force: false });
    const words = ["--dataset=text", "--attention=causal", "--block_size=8"];
    const check = async (...more: string[]) =>
      await runCheck(dataCheck(), await contextOf([...words, ...more]));
    assertFound(await check(`--data_dir=${data_dir}`), "ok", /train\.bin 1\.7 KiB .* as meta\.json says/);
    assertFound(await check(`--data=${text}`), "ok", /prepared into/);
    assertFound(await check(`--data=${text}.gone`), "failure", /is not there/);
    const train = join(data_dir, "train.bin");
    const bytes = await Deno.readFile(train);
    [bytes[0], bytes[2]] = [bytes[2], bytes[0]]; // other tokens, all of the vocabulary
    await Deno.writeFile(train, bytes);
    assertFound(await check(`--data_dir=${data_dir}`), "failure", /E_DATA: .* says SHA-256/);
    assertFound(await runCheck(dataCheck(), await contextOf()), "ok", /sort/);
  }));

zmqTest(
  "keysCheck() finds keys that others may read, that are not there, and that are of two runs",
  () =>
    inTempDir(async (dir) => {
      const [one, other] = [join(dir, "one"), join(dir, "other")];
      await writeKeyFiles(one, makeRunKeys());
      await writeKeyFiles(other, makeRunKeys());
      const check = async (...words: string[]) => await runCheck(keysCheck(), await contextOf(words));
      assertFound(await check(`--keys=${one}`), "ok", /coordinator, worker, admin/);
      await Deno.remove(join(one, "admin.key"));
      await Deno.remove(join(one, "coordinator.key"));
      assertFound(await check(`--keys=${one}`), "ok", /those for worker,/);
      await Deno.chmod(join(one, "worker.key"), 0o644);
      const open = await check(`--keys=${one}`);
      assertFound(open, "failure", /mode 0644/);
      assert.equal(open.fix, `chmod 600 ${join(one, "worker.key")}`);
      await Deno.chmod(join(one, "worker.key"), 0o600);
      await Deno.copyFile(join(one, "worker.key"), join(other, "worker.key"));
      assertFound(await check(`--keys=${other}`), "failure", /the worker's is not of the same run/);
      assertFound(await check(`--keys=${dir}`), "failure", /holds no key/);
      assertFound(await check("--rdzv_endpoint=10.0.0.1:29500"), "failure", /E_KEY/);
      const own = [`--out_dir=${join(dir, "run")}`, `--keys=${join(dir, "run", "keys")}`];
      assertFound(await check(...own), "ok", /made by the run, in /);
      assertFound(await check("--insecure"), "warning", /insecure/);
      assertFound(await check(), "ok", /none needed/);
    }),
);

zmqTest("portCheck() finds a port that is taken", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const at = `127.0.0.1:${listener.addr.port}`;
  const taken = await runCheck(portCheck(), await contextOf([`--rdzv_endpoint=${at}`]));
  assertFound(taken, "failure", /another process listens on tcp:\/\/127/);
  listener.close();
  assertFound(await runCheck(portCheck(), await contextOf([`--rdzv_endpoint=${at}`])), "ok", /is free/);
  assertFound(await runCheck(portCheck(), await contextOf()), "ok", /none needed/);
  const elsewhere = await contextOf(["--insecure", "--rdzv_endpoint=192.0.2.1:29500"]);
  assertFound(await runCheck(portCheck(), elsewhere), "warning", /not tried/);
});
