import assert from "node:assert/strict";
import { join } from "node:path";
import { openDashboard } from "../../../coordinator/dashboard/server.ts";
import { needing, python } from "../../python.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const HOSTILE = `"} evil_total 1\nevil_total 2 \\`;

/** What Prometheus' own Python client reads: samples as [name, labels, value]. */
const PARSE = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
text = open(sys.argv[1]).read()
print(json.dumps([[s.name, s.labels, s.value] for family in parse(text) for s in family.samples]))
`;

async function writeLines(path: string, lines: readonly unknown[]): Promise<void> {
  await Deno.writeTextFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

/** A run of which the files say all that is told. */
async function makeRun(path: string): Promise<void> {
  await Deno.mkdir(path);
  await Deno.writeTextFile(join(path, "config.toml"), "max_iters = 40\n");
  const workers = [{ id: HOSTILE, compute_ms: 30, wait_ms: 5, reduce_ms: 4, apply_ms: 1 }];
  await writeLines(join(path, "metrics.jsonl"), [
    { step: 0, loss: 3, lr: 0.1, grad_norm: 2, tokens: 128, tokens_per_sec: 10, mfu: null, dt_ms: 80 },
    {
      step: 9,
      loss: 2,
      lr: 0.2,
      grad_norm: 1,
      tokens: 1280,
      tokens_per_sec: 20,
      mfu: 0.5,
      dt_ms: 45,
      workers,
    },
  ]);
  await writeLines(join(path, "eval.jsonl"), [
    { step: 0, task: "estimate", metrics: { train_loss: 3, val_loss: 2.5 } },
  ]);
  const lost = { level: "info", process: "coordinator", event: "member_failed", fields: { code: "E_CRC" } };
  await writeLines(
    join(path, "log.jsonl"),
    [lost, lost].map((record) => ({ time: "2026-11-30", ...record })),
  );
}

async function scraped(run: string): Promise<string> {
  const page = await openDashboard({ runs: [run], port: 0, token: null });
  try {
    const answer = await fetch(`${page.url}/metrics`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    return await answer.text();
  } finally {
    await page.close();
  }
}

Deno.test({
  ...await needing(
    ["prometheus_client"],
    "/metrics: a Prometheus client reads what the run's files say last",
  ),
  async fn() {
    await inTempDir(async (dir) => {
      const run = join(dir, "run");
      await makeRun(run);
      const text = join(dir, "metrics.txt");
      await Deno.writeTextFile(text, await scraped(run));
      const { out, err } = await python(["-c", PARSE, text]);
      assert.deepEqual(JSON.parse(out || err), [
        ["lockstep_running", { run }, 0],
        ["lockstep_max_steps", { run }, 40],
        ["lockstep_steps_total", { run }, 10],
        ["lockstep_tokens_total", { run }, 1280],
        ["lockstep_train_loss_nats", { run }, 2],
        ["lockstep_val_loss_nats", { run }, 2.5],
        ["lockstep_learning_rate", { run }, 0.2],
        ["lockstep_gradient_norm", { run }, 1],
        ["lockstep_tokens_per_second", { run }, 20],
        ["lockstep_model_flops_utilization_ratio", { run }, 0.5],
        ["lockstep_step_seconds", { run }, 0.045],
        ["lockstep_worker_phase_seconds", { run, worker: HOSTILE, phase: "compute" }, 0.03],
        ["lockstep_worker_phase_seconds", { run, worker: HOSTILE, phase: "wait" }, 0.005],
        ["lockstep_worker_phase_seconds", { run, worker: HOSTILE, phase: "reduce" }, 0.004],
        ["lockstep_worker_phase_seconds", { run, worker: HOSTILE, phase: "apply" }, 0.001],
        ["lockstep_workers", { run }, 1],
        ["lockstep_members_lost_total", { run, code: "E_CRC" }, 2],
      ]);
    });
  },
});

Deno.test("deploy/grafana/lockstep.json shows metrics that /metrics has, nearly all of them", async () => {
  await inTempDir(async (dir) => {
    await makeRun(join(dir, "run"));
    const told = new Set(
      [...(await scraped(join(dir, "run"))).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name),
    );
    const path = new URL("../../../deploy/grafana/lockstep.json", import.meta.url);
    const { panels, templating } = JSON.parse(await Deno.readTextFile(path));
    const asked: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
      targets.map(({ expr }) => expr)
    );
    const shown = new Set([...asked, templating.list[1].query].join(" ").match(/lockstep_\w+/g));
    assert.deepEqual([...shown].filter((name) => !told.has(name)), []);
    assert.deepEqual([...told].filter((name) => !shown.has(name)), ["lockstep_tokens_total"]);
  });
});
