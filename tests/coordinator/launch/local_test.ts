import assert from "node:assert/strict";
import { gpuEnvironment, launchLocal } from "../../../coordinator/launch/local.ts";
import { createIpcDirectory } from "../../../shared/zmq/ipc_directory.ts";

Deno.test("gpuEnvironment() gives each worker one GPU, in turn", () => {
  const seen = [0, 1, 2].map((localRank) => gpuEnvironment(["3", "GPU-5a1c"], localRank));
  assert.deepEqual(seen, [
    { CUDA_VISIBLE_DEVICES: "3" },
    { CUDA_VISIBLE_DEVICES: "GPU-5a1c" },
    { CUDA_VISIBLE_DEVICES: "3" },
  ]);
});

Deno.test("gpuEnvironment() leaves the environment as it is where no GPU is dealt", () => {
  assert.deepEqual(gpuEnvironment([], 1), {});
});

const linux = Deno.build.os === "linux";

Deno.test({
  name: `launchLocal() starts each worker with its own GPU in the environment${
    linux ? "" : " (skipped: needs /proc)"
  }`,
  ignore: !linux,
  async fn() {
    const directory = createIpcDirectory();
    const endpoint = directory.endpoint("nobody");
    const workers = launchLocal({
      ...{ count: 3, endpoint, directory, verbose: false, gpus: ["4", "7"] },
      ...{ maxRestarts: 0, onEnd: () => {} },
    });
    try {
      const found = workers.ids.map((id) => environmentOf(`--endpoint=${endpoint}`, `--id=${id}`));
      assert.deepEqual(found.map((env) => env.get("CUDA_VISIBLE_DEVICES")), ["4", "7", "4"]);
    } finally {
      await workers.kill();
      directory.remove();
    }
  },
});

/** The environment of the process that has all these words. */
function environmentOf(...words: string[]): Map<string, string> {
  const read = (pid: string, file: string) => Deno.readTextFileSync(`/proc/${pid}/${file}`).split("\0");
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    try {
      if (!/^\d+$/.test(pid) || !words.every((word) => read(pid, "cmdline").includes(word))) continue;
      return new Map(
        read(pid, "environ").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]),
      );
    } catch {
      continue; // it has ended meanwhile
    }
  }
  return new Map();
}
