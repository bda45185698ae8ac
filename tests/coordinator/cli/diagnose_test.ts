import assert from "node:assert/strict";
import { describeResult } from "../../../coordinator/cli/diagnose.ts";

Deno.test("describeResult() gives a line a check, a second one that says what to do, and colours where asked", () => {
  const well = { name: "deno", status: "ok", detail: "2.9.6", fix: null } as const;
  const ill = { name: "keys", status: "failure", detail: "mode 0644", fix: "chmod 600 it" } as const;
  const late = { ...ill, status: "warning" } as const;
  const show = (colours: boolean) => [well, ill, late].map((result) => describeResult(result, { colours }));
  assert.deepEqual(show(false), [
    "ok   deno      2.9.6",
    "FAIL keys      mode 0644\n               fix: chmod 600 it",
    "warn keys      mode 0644\n               fix: chmod 600 it",
  ]);
  assert.equal(show(true)[0], "\x1b[32mok  \x1b[0m deno      2.9.6");
});
