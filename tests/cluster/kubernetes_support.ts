import assert from "node:assert/strict";
import { whyNot } from "../../coordinator/chaos/needs.ts";
import { type Program, type Sandbox, sandbox, TINY } from "../integration/support.ts";
import { Cluster, end } from "./pods.ts";

const missing = await whyNot(["namespaces", "mount"]);

/** How many pods there are. */
const NODES = 3;
/** Without all of its members it waits, so that it is not over before a pod that was lost is there again. */
const RUN = [
  ...TINY,
  "--max_iters=400",
  "--eval_interval=100",
  "--nproc_per_node=1",
  `--min_workers=${NODES}`,
];

/** A Job of three pods on a cluster of its own. */
export interface KubernetesRun {
  readonly box: Sandbox;
  readonly cluster: Cluster;
  /** By index; a pod that is made again takes the place of the one before. */
  readonly pods: Program[];
  /** How many rosters of a coordinator's epoch had all members so far. */
  wholeRosters(epoch: number): number;
  /** Makes all pods again. */
  restart(): Promise<void>;
  /** Kills a pod, which its Job makes again. */
  replace(index: number): Promise<void>;
  /** Waits until all pods have ended with a status. */
  endWith(status: number): Promise<void>;
}

/** Runs the Job that `submit kubernetes` renders, and compares the weights that it leaves with those of one process. */
export function kubernetesTest(name: string, disturb: (run: KubernetesRun) => Promise<void>): void {
  Deno.test({
    name: `submit kubernetes: ${name}${missing === null ? "" : ` (skipped: ${missing})`}`,
    ignore: missing !== null,
    async fn() {
      await using box = await sandbox();
      const rendered = await box.run([
        "submit",
        "kubernetes",
        ...RUN,
        `--nodes=${NODES}`,
        "--name=demo",
        "--dry-run",
      ]);
      assert.equal(rendered.code, 0, rendered.err);
      await using cluster = await Cluster.make(box.dir, rendered.out);
      const run = runOf(box, cluster);
      await run.restart();
      await run.pods[0].says("iter 20:");
      await disturb(run);
      await run.endWith(0);
      assert.equal(await box.weights("runs/demo"), await box.train("alone", [...RUN, "--min_workers=1"]));
    },
  });
}

function runOf(box: Sandbox, cluster: Cluster): KubernetesRun {
  const pods: Program[] = [];
  return {
    box,
    cluster,
    pods,
    wholeRosters(epoch) {
      const lines = Deno.readTextFileSync(box.path("runs", "demo", "log.jsonl")).split("\n");
      return lines.filter((line) =>
        line.includes(`"epoch":${epoch},`) && MEMBERS.every((id) => line.includes(id))
      )
        .length;
    },
    async restart() {
      pods.splice(
        0,
        NODES,
        ...await Promise.all(Array.from({ length: NODES }, (_, index) => cluster.start(index))),
      );
    },
    async replace(index) {
      end(pods[index], "SIGKILL");
      await pods[index].ended;
      pods[index] = await cluster.start(index);
    },
    async endWith(status) {
      for (const { ended } of pods) {
        const { code, out, err } = await ended;
        assert.equal(code, status, out + err);
      }
    },
  };
}

const MEMBERS = ["worker-0", "node1-worker-0", "node2-worker-0"].map((id) => JSON.stringify(id));
