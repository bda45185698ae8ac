import assert from "node:assert/strict";
import { expandHosts } from "../../../coordinator/launch/slurm_hosts.ts";

Deno.test("expandHosts() gives the names of Slurm's lists in order", () => {
  const lists: [string, string[]][] = [
    ["n1", ["n1"]],
    ["n1,n2", ["n1", "n2"]],
    ["n[1-3]", ["n1", "n2", "n3"]],
    ["a[08-10,3],b", ["a08", "a09", "a10", "a3", "b"]],
    ["r[1-2]c[0-1]-ib", ["r1c0-ib", "r1c1-ib", "r2c0-ib", "r2c1-ib"]],
    ["gpu-a100-[001-002].cluster", ["gpu-a100-001.cluster", "gpu-a100-002.cluster"]],
    ["", []],
  ];
  for (const [list, names] of lists) assert.deepEqual(expandHosts(list), names, list);
});
