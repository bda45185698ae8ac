import assert from "node:assert/strict";
import { cases } from "../../coordinator/chaos/cases.ts";
import { whyNot } from "../../coordinator/chaos/needs.ts";
import { References, runCase } from "../../coordinator/chaos/run_case.ts";

/** Makes a test of each of these cases; those that cannot be run here are told, and skipped. */
export async function chaosTests(numbers: readonly number[]): Promise<void> {
  const references = new References();
  for (const given of cases.filter(({ number }) => numbers.includes(number))) {
    const missing = await whyNot(given.needs ?? []);
    Deno.test({
      name: `chaos ${given.number}: ${given.name}${missing === null ? "" : ` (skipped: ${missing})`}`,
      ignore: missing !== null,
      async fn() {
        const { pass, reason } = await runCase(given, { references });
        assert.equal(pass, true, reason);
      },
    });
  }
}
