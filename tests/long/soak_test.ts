import assert from "node:assert/strict";
import { NO_PROC, sandbox, TINY } from "../integration/support.ts";

const FIRST = 500;
const LAST = 2_000;
/** What a runtime's own memory may move by. */
const SLACK_BYTES = 20e6;

Deno.test({
  name: `train holds its memory from step ${FIRST} to ${LAST}${
    NO_PROC === null ? "" : ` (skipped: ${NO_PROC})`
  }`,
  ignore: NO_PROC !== null,
  async fn() {
    await using box = await sandbox();
    const words = [...TINY, "--nproc_per_node=2", `--max_iters=${LAST + 1}`, "--log_interval=50"];
    const program = box.start(["train", ...words, "--eval_interval=100", "--out_dir=run"]);
    await program.says(`iter ${FIRST}:`);
    const pids = [program.pid, ...program.children()];
    assert.equal(pids.length, 3);
    const before = pids.map(residentBytes);
    await program.says(`iter ${LAST}:`);
    const after = pids.map(residentBytes);
    const mb = (bytes: number[]) => bytes.map((n) => Math.round(n / 1e6)).join(", ");
    console.log(`coordinator and workers, MB: ${mb(before)} at step ${FIRST}, ${mb(after)} at step ${LAST}`);
    assert.equal((await program.ended).code, 0);
    before.forEach((bytes, i) =>
      assert.ok(after[i] <= 1.05 * bytes + SLACK_BYTES, `process ${i} grew: ${mb(after)}`)
    );
  },
});

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return 1024 * Number(kilobytes);
}
