import assert from "node:assert/strict";
import { join } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import { readJsonl } from "../../shared/jsonl.ts";
import { consoleSink, fileSink, Log, type LogRecord } from "../../shared/log.ts";
import { inTempDir } from "./temp_dir.ts";

const now = () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5));

Deno.test("Log gives each record to every sink, with time, process, level and fields", () => {
  const records: LogRecord[] = [];
  const log = new Log("worker-1", { sinks: [(record) => records.push(record)], now });
  log.debug("joined");
  log.info("step_done", { step: 3 });
  log.warn("slow", { peer: 2 });
  log.error("died");
  assert.deepEqual(records.map(({ level, event }) => [level, event]), [
    ["debug", "joined"],
    ["info", "step_done"],
    ["warn", "slow"],
    ["error", "died"],
  ]);
  assert.deepEqual(records[1], {
    time: "2026-01-02T03:04:05.000Z",
    process: "worker-1",
    level: "info",
    event: "step_done",
    fields: { step: 3 },
  });
});

Deno.test("consoleSink() prints records from its level on, a line each", () => {
  const lines: string[] = [];
  const sink = consoleSink("warn", { write: (line) => lines.push(line) });
  const log = new Log("coordinator", { sinks: [sink], now });
  log.info("quiet");
  log.warn("peer_slow", { rank: 1, why: "two words", loss: NaN, join_key: "abc" });
  log.error("failed", { error: new LockstepError("E_SHORT", "Cannot read") });
  assert.deepEqual(lines, [
    '03:04:05 warn coordinator peer_slow rank=1 why="two words" loss="NaN" join_key="[secret]"',
    '03:04:05 error coordinator failed error={"code":"E_SHORT","message":"Cannot read"}',
  ]);
});

Deno.test("fileSink() appends a line a record, from several sinks, and ends a torn line", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    {
      using one = fileSink(path);
      using two = fileSink(path);
      const [a, b] = [one, two].map((sink, i) => new Log(`worker-${i}`, { sinks: [sink], now }));
      for (let i = 0; i < 3; i++) {
        a.info("tick", { i });
        b.info("tick", { i });
      }
    }
    const values = await Array.fromAsync(readJsonl(path));
    assert.equal(values.length, 6);
    await Deno.writeTextFile(path, '{"torn', { append: true });
    using sink = fileSink(path);
    new Log("worker-2", { sinks: [sink], now }).info("again");
    const lines = (await Deno.readTextFile(path)).split("\n");
    assert.equal(lines[6], '{"torn');
    assert.equal(JSON.parse(lines[7]).event, "again");
  });
});

Deno.test("fileSink() writes no secret at any depth, and what JSON cannot say as text", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "log.jsonl");
    using sink = fileSink(path);
    new Log("w", { sinks: [sink], now }).info("hello", {
      peer: { secretKey: "s3cret", public_key: "open", adminToken: ["s3cret"] },
      tokens: 12,
      big: 10n,
      error: new TypeError("oops"),
    });
    const text = await Deno.readTextFile(path);
    assert(!text.includes("s3cret"));
    const { fields } = JSON.parse(text);
    assert.deepEqual(fields.peer, { secretKey: "[secret]", public_key: "open", adminToken: "[secret]" });
    assert.equal(fields.tokens, 12);
    assert.equal(fields.big, "10");
    assert.match(fields.error.stack, /oops/);
  });
});

Deno.test("fileSink() says E_OUT_DIR where the log cannot be opened", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "file"), "");
    assert.throws(() => fileSink(join(dir, "file", "log.jsonl")), { code: "E_OUT_DIR" });
  });
});
