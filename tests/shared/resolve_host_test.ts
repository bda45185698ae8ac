import assert from "node:assert/strict";
import { resolveHost } from "../../shared/resolve_host.ts";

Deno.test("resolveHost() asks the system, and gives nothing for a name that it does not know", async () => {
  assert.deepEqual(await resolveHost("localhost"), ["127.0.0.1"]);
  assert.deepEqual(await resolveHost("10.1.2.3"), ["10.1.2.3"]);
  assert.deepEqual(await resolveHost("no-such-host.invalid"), []);
});
