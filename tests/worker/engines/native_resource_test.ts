import assert from "node:assert/strict";
import { NativeResource } from "../../../worker/engines/native_resource.ts";

/** A resource that counts how often it was freed, and a use of it that ends when told. */
function counted() {
  const state = { freed: 0 };
  const resource = new NativeResource(() => state.freed++);
  const gates: (() => void)[] = [];
  const use = () => resource.use(() => new Promise<void>((resolve) => gates.push(resolve)));
  return { state, resource, gates, use };
}

Deno.test("NativeResource is freed at once when nothing uses it, and only once", () => {
  const { state, resource } = counted();
  resource[Symbol.dispose]();
  resource[Symbol.dispose]();
  assert.equal(state.freed, 1);
});

Deno.test("NativeResource is freed when the last use that was on its way ends, failed ones too", async () => {
  const { state, resource, gates, use } = counted();
  const uses = [use(), use()];
  const failing = assert.rejects(resource.use(() => Promise.reject(new Error("mine"))), /mine/);
  resource[Symbol.dispose]();
  await failing;
  gates[0]();
  await uses[0];
  assert.equal(state.freed, 0);
  gates[1]();
  await uses[1];
  assert.equal(state.freed, 1);
});

Deno.test("NativeResource refuses a use after it was disposed of", async () => {
  const { resource, use } = counted();
  resource[Symbol.dispose]();
  await assert.rejects(use(), { code: "E_ENGINE" });
});
