import assert from "node:assert/strict";
import { within } from "../integration/support.ts";
import { kubernetesTest } from "../cluster/kubernetes_support.ts";
import { end } from "../cluster/pods.ts";

kubernetesTest(
  "three pods train with the bits of one process, though a node and the coordinator are killed",
  async ({ cluster, pods, replace, wholeRosters }) => {
    assert.deepEqual([await cluster.probe(0, pods[0]), await cluster.probe(2, pods[2])], [0, 0]);
    await replace(1);
    await within(60_000, () => wholeRosters(1) >= 2, "pod 1 is a member again");
    await replace(0);
    await within(60_000, () => wholeRosters(2) >= 1, "the coordinator has its members again");
  },
);

kubernetesTest(
  "pod 0 is stopped, as by an eviction: it saves, all pods end to be made again, and the run goes on with the same bits",
  async ({ pods, endWith, restart }) => {
    end(pods[0], "SIGTERM");
    await endWith(130);
    await restart();
  },
);

kubernetesTest(
  "a node is stopped, as by an eviction: it leaves, is made again, and the bits are the same",
  async ({ pods, cluster }) => {
    end(pods[1], "SIGTERM");
    await pods[1].ended;
    pods[1] = await cluster.start(1);
  },
);
