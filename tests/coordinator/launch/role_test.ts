import assert from "node:assert/strict";
import { roleOf } from "../../../coordinator/launch/role.ts";
import { resolveRunConfig } from "../../../shared/config/resolve_run_config.ts";

/** The role of this machine, 10.0.0.2, for these words. */
async function role(...words: string[]) {
  const { config } = await resolveRunConfig([...words, "--keys=keys", "--patience=1"]);
  const known = new Map([["first", ["10.0.0.1"]], ["second", ["10.0.0.2"]], ["self", ["127.0.1.1"]]]);
  return await roleOf(config, {
    own: ["127.0.0.1", "10.0.0.2"],
    resolve: (host) => Promise.resolve(known.get(host) ?? (/^\d/.test(host) ? [host] : [])),
  });
}

Deno.test("roleOf() lets node 0 coordinate where ranks are given, whatever the addresses", async () => {
  assert.equal(await role("--nnodes=2", "--node-rank=0", "--master-addr=unknown"), "coordinator");
  assert.equal(await role("--nnodes=2", "--node-rank=1", "--master-addr=second"), "node");
});

Deno.test("roleOf() lets the machine coordinate to which the endpoint belongs", async () => {
  assert.equal(await role("--nnodes=2", "--rdzv-endpoint=first:29500"), "node");
  assert.equal(await role("--nnodes=2", "--rdzv-endpoint=10.0.0.1:29500"), "node");
  for (const host of ["second", "10.0.0.2", "self", "127.0.0.1", "localhost", "*", "0.0.0.0"]) {
    assert.equal(await role("--nnodes=2", `--rdzv-endpoint=${host}:29500`), "coordinator", host);
  }
  assert.equal(await role("--nnodes=2"), "coordinator");
  assert.equal(await role(), "coordinator");
});

Deno.test("roleOf() refuses a name that nobody knows, once patience is over", async () => {
  await assert.rejects(role("--nnodes=2", "--rdzv-endpoint=nowhere:29500"), {
    code: "E_RDZV",
    message: /nowhere as no machine of that name was found within 1 s/,
  });
});
