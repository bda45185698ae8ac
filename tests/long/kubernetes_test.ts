import { kubernetesTest } from "../cluster/kubernetes_support.ts";
import { end } from "../cluster/pods.ts";

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
