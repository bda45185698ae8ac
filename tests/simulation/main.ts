/** `deno run -A tests/simulation/main.ts FIRST LAST`, or `--seed=N` for one seed with its trace. Ends with 1 at the first violation. */
import { type Outcome, simulate } from "./simulate.ts";

function tell({ seed, violation, trace }: Outcome): void {
  for (const line of trace) console.log(line);
  console.log(`seed ${seed}: ${violation ?? "no violation"}`);
}

const [first = "1", last = first] = Deno.args;
if (first.startsWith("--seed=")) {
  const outcome = await simulate(Number(first.slice("--seed=".length)), { traces: true });
  tell(outcome);
  Deno.exit(outcome.violation === null ? 0 : 1);
}
const faults: Record<string, number> = {};
const began = performance.now();
for (let seed = Number(first); seed <= Number(last); seed++) {
  const outcome = await simulate(seed);
  for (const [kind, count] of Object.entries(outcome.faults)) faults[kind] = (faults[kind] ?? 0) + count;
  if (outcome.violation === null) continue;
  tell(outcome);
  console.log(`replay: deno run -A tests/simulation/main.ts --seed=${seed}`);
  Deno.exit(1);
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`seeds ${first} to ${last}: no violation in ${seconds} s; faults ${JSON.stringify(faults)}`);
