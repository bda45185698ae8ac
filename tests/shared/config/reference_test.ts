import assert from "node:assert/strict";
import { renderReference } from "../../../shared/config/reference.ts";

Deno.test("renderReference() is what docs/configuration.md holds (deno task docs writes it)", async () => {
  const written = await Deno.readTextFile(new URL("../../../docs/configuration.md", import.meta.url));
  assert.equal(written, renderReference());
});
