import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDashboard } from "../../coordinator/dashboard/server.ts";
import { connectToRun } from "../../coordinator/steering/connect_to_run.ts";
import { NO_PROC, sandbox, TINY } from "../integration/support.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { findChromium } from "./chromium.ts";

const chromium = await findChromium();
const BROWSE = fileURLToPath(new URL("./browse.js", import.meta.url));
const EVIL = `</script><script>alert("evil")</script><img src=x onerror=alert(1)>`;

/** What browse.js prints. */
interface Seen {
  readonly console: readonly string[];
  readonly requests: readonly string[];
  readonly faults: readonly string[];
  /** By how much the page is wider than the window. */
  readonly widths: readonly number[];
  readonly loadMs: number;
  readonly framesPerSecond: number;
  readonly killedMs: number;
  readonly reason: string;
  readonly sample: string;
  readonly log: string;
  readonly reading: string;
  readonly legend: string;
  readonly text: string;
}

function test(title: string, fn: () => Promise<void>): void {
  const ignore = chromium === null || NO_PROC !== null;
  Deno.test({ name: ignore ? `${title} (skipped: needs Linux and chromium)` : title, ignore, fn });
}

async function browse(options: Record<string, unknown>): Promise<Seen> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-lock",
      "--no-config",
      BROWSE,
      JSON.stringify({ chromium, ...options }),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** What holds of every page. */
function assertAtHome({ console, requests, faults, widths }: Seen, url: string): void {
  assert.deepEqual(console, []);
  assert.deepEqual(requests, [url]);
  assert.deepEqual(faults, []);
  assert.ok(widths.every((width) => width === 0), `${widths}`);
}

test(
  "train --dashboard: Chromium follows a run from its first step to its end, sees a worker die and why, and steers it",
  async () => {
    await using box = await sandbox();
    const run = box.start([
      ...["train", ...TINY, "--max_iters=100000", "--eval_interval=100000", "--log_interval=1"],
      ...["--nproc_per_node=2", "--out_dir=run", "--dashboard", "--dashboard_port=0"],
    ], { longestMs: 300_000 });
    await run.says("page: http");
    const [, url] = /page: (http:\S+)/.exec(run.text.out) ?? [];
    await run.says("iter 5:");
    const console = await connectToRun(box.path("run"));
    const { value: { workers } } = await console.ask("workers");
    await console.close();
    assert.ok(Array.isArray(workers));
    const seen = await browse({ url, victim: workers[1] });
    assertAtHome(seen, url);
    assert.ok(seen.killedMs < 30_000, `shown after ${seen.killedMs} ms`);
    assert.match(seen.reason, /worker-1/);
    assert.match(seen.sample, /^(\d+ )+→ \S/);
    assert.match(seen.log, /command_refused\s+by="?\S+@\S+ by page/);
    assert.match(seen.reading, /^Loss, step \d[\d,]*: loss, smoothed \d/);
    const { code, err } = await run.ended;
    assert.equal(code, 130, err);
    assert.match(err, /@\S+ by page paused the run/);
    assert.deepEqual(box.leftovers(), []);
  },
);

test("serve: nothing in a hostile run's files becomes part of the page", async () => {
  await inTempDir(async (dir) => {
    const run = join(dir, "<b>run<b>");
    await Deno.mkdir(run);
    const write = (name: string, lines: unknown[]) =>
      Deno.writeTextFile(join(run, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await Deno.writeTextFile(join(run, "config.toml"), `# ${EVIL}\n`);
    const worker = { id: EVIL, compute_ms: 1, wait_ms: 1, reduce_ms: 1, apply_ms: 1 };
    await write("metrics.jsonl", [0, 1, 2].map((step) => ({ step, loss: 3 - step, workers: [worker] })));
    await write("samples.jsonl", [{ step: 0, prompt: EVIL, text: EVIL }]);
    await write("eval.jsonl", [{ step: 0, task: EVIL, metrics: { [EVIL]: 1 } }]);
    const record = { time: EVIL, process: EVIL, level: "info" };
    const fields = { generation: 1, members: [EVIL], step: 0, reason: EVIL };
    await write("log.jsonl", [
      { ...record, event: "roster", fields },
      { ...record, event: "membership", fields: { reason: EVIL } },
      { ...record, event: "roster", fields: { members: "none" } },
    ]);
    const page = await openDashboard({ runs: [run], port: 0, token: null });
    try {
      const seen = await browse({ url: page.url });
      assertAtHome(seen, page.url);
      assert.ok(seen.text.includes(EVIL));
      assert.ok(seen.text.includes("<b>run<b>"));
    } finally {
      await page.close();
    }
  });
});

test("serve: a run of 100,000 steps loads, and is read with the mouse", async () => {
  await inTempDir(async (run) => {
    const lines = Array.from({ length: 100_000 }, (_, step) => {
      const loss = 1 + 3 * Math.exp(-step / 9_000);
      return JSON.stringify({ step, loss, lr: 1e-3, grad_norm: 1, tokens_per_sec: 2e4, dt_ms: 60 });
    });
    await Deno.writeTextFile(join(run, "metrics.jsonl"), lines.join("\n") + "\n");
    const page = await openDashboard({ runs: [run], port: 0, token: null });
    try {
      const seen = await browse({ url: page.url, hover: true });
      assertAtHome(seen, page.url);
      assert.ok(seen.loadMs < 20_000, `${seen.loadMs} ms`);
      assert.ok(seen.framesPerSecond > 3, `${seen.framesPerSecond} frames a second`);
      assert.match(seen.legend, /^step:?\s*\d/);
    } finally {
      await page.close();
    }
  });
});
