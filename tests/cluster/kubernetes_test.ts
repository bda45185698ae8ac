/** A run on Kubernetes, as far as that goes without a cluster: its schemas, and its pods as namespaces of this machine. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { whyNot } from "../../coordinator/chaos/needs.ts";
import { sandbox, TINY, within } from "../integration/support.ts";
import { Cluster, end } from "./pods.ts";

const missing = await whyNot(["namespaces", "mount"]);

Deno.test({
  name: `submit kubernetes: three pods train with the bits of one process, whichever pod is lost${
    missing === null ? "" : ` (skipped: ${missing})`
  }`,
  ignore: missing !== null,
  async fn() {
    await using box = await sandbox();
    const run = [...TINY, "--max_iters=3000", "--eval_interval=500"];
    const words = [...run, "--nproc_per_node=1", "--name=demo", "--nodes=3", "--dry-run"];
    const { code, out, err } = await box.run(["submit", "kubernetes", ...words]);
    assert.equal(code, 0, err);
    await using cluster = await Cluster.make(box.dir, out);
    const pods = await Promise.all([0, 1, 2].map((index) => cluster.start(index)));
    const line = () => Number(/.*^iter (\d+):/ms.exec(pods[0].text.out)?.[1] ?? -1);
    await within(30_000, () => line() >= 200, "it trains");
    assert.equal(await cluster.probe(0, pods[0]), 0);
    end(pods[1], "SIGKILL");
    await pods[1].ended;
    pods[1] = await cluster.start(1);
    await within(30_000, () => line() >= 900, "it goes on");
    end(pods[0], "SIGKILL");
    await pods[0].ended;
    pods[0] = await cluster.start(0);
    for (const { ended } of pods) {
      const { code, out, err } = await ended;
      assert.equal(code, 0, out + err);
    }
    assert.equal(await box.weights("runs/demo"), await box.train("alone", [...run, "--nproc_per_node=1"]));
  },
});
