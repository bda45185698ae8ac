import assert from "node:assert/strict";
import { main } from "../../../coordinator/cli/main.ts";

async function refusal(...words: string[]): Promise<{ status: number; said: string }> {
  let said = "";
  const status = await main(["setup-xla", ...words], {
    output: { out: (text) => void (said += text), err: (text) => void (said += text) },
  });
  return { status, said };
}

Deno.test("setup-xla takes one device, and refuses what it does not know", async () => {
  assert.deepEqual(await refusal("--cpu", "--cuda"), {
    status: 2,
    said: "error E_USAGE: Cannot set up XLA for both --cpu and --cuda: give --cpu or --cuda alone",
  });
  assert.equal((await refusal("rocm")).said.includes("Cannot set up XLA for rocm"), true);
  const unknown = await refusal("--rocm");
  assert.equal(unknown.status, 2);
  assert.match(unknown.said, /--rocm/);
});
