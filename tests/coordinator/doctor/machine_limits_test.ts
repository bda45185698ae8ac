import assert from "node:assert/strict";
import { parseMachineLimits, readMachineLimits } from "../../../coordinator/doctor/machine_limits.ts";

Deno.test("parseMachineLimits() takes the tightest of the machine's and its cgroups' memory", () => {
  const lines = [
    "files 1024",
    "memory 8388608",
    "cgroup 4294967296 3221225472 1073741824",
    "cgroup max 5368709120 0",
    "shm 65536",
  ];
  assert.deepEqual(parseMachineLimits(lines.join("\n")), {
    openFiles: 1_024,
    memoryBytes: 2 * 2 ** 30,
    memoryOf: "its cgroup",
    shmBytes: 64 << 20,
  });
  const { memoryBytes, memoryOf } = parseMachineLimits(lines.slice(0, 2).join("\n"));
  assert.deepEqual([memoryBytes, memoryOf], [8 * 2 ** 30, "the machine"]);
});

Deno.test("parseMachineLimits() says nothing where nothing is said", () => {
  assert.deepEqual(parseMachineLimits("files unlimited\n"), {
    openFiles: null,
    memoryBytes: null,
    memoryOf: "the machine",
    shmBytes: null,
  });
});

Deno.test("readMachineLimits() finds files and memory on Linux", async () => {
  const limits = await readMachineLimits();
  if (Deno.build.os !== "linux") return assert.ok(limits);
  assert.ok(limits.memoryBytes !== null && limits.memoryBytes > 2 ** 27, `${limits.memoryBytes}`);
  assert.ok(limits.memoryBytes < 2 ** 45);
});
