import assert from "node:assert/strict";
import { matchVariants, trainingFlops, type VariantCost } from "../../../coordinator/sweep/match_variants.ts";
import { parseSweep } from "../../../coordinator/sweep/sweep_file.ts";

function sweepOf(head: string) {
  const variants = ["small", "large", "fixed"].map((name) => `[[variant]]\nname = "${name}"`);
  return parseSweep([`preset = "sort-demo"`, head, ...variants].join("\n"), { source: "sizes.toml" });
}

const SMALL: VariantCost = {
  parameters: 100,
  flopsPerToken: 600,
  tokensPerStep: 10,
  maxIters: 1_000,
  isFixed: false,
};
const COSTS = new Map([
  ["small", SMALL],
  ["large", { ...SMALL, parameters: 104, flopsPerToken: 800 }],
  ["fixed", { ...SMALL, maxIters: 1_010, isFixed: true }],
]);

Deno.test("matchVariants() leaves all as they are where nothing is matched", () => {
  assert.deepEqual([...matchVariants(sweepOf(""), COSTS)], []);
});

Deno.test("matchVariants() allows parameters within the tolerance, and names what is off by more", () => {
  assert.deepEqual([...matchVariants(sweepOf('match = "parameters"'), COSTS)], []);
  assert.throws(() => matchVariants(sweepOf('match = "parameters"\nmatch_tolerance = 0.03'), COSTS), {
    code: "E_CONFIG",
    message: /match = "parameters" allows 3\.0 % .*: large has 104 parameters, 4\.0 % more than small/,
  });
  assert.throws(
    () => matchVariants(sweepOf('match = "parameters"\nmatch_tolerance = 0.03\nbaseline = "large"'), COSTS),
    { code: "E_CONFIG", message: /small has 100 parameters, 3\.8 % fewer than large/ },
  );
});

Deno.test("matchVariants() gives variants as many iterations as the baseline's FLOPs allow, unless they say how many", () => {
  const iters = matchVariants(sweepOf('match = "flops"'), COSTS);
  assert.deepEqual([...iters], [["large", 750]]);
  const large = { ...SMALL, flopsPerToken: 800, maxIters: 750 };
  assert.equal(trainingFlops(large), trainingFlops(SMALL));
  const tooMany = new Map([...COSTS, ["fixed", { ...SMALL, maxIters: 1_200, isFixed: true }]]);
  assert.throws(() => matchVariants(sweepOf('match = "flops"'), tooMany), {
    code: "E_CONFIG",
    message: /fixed has 7,200,000 FLOPs, 20\.0 % more than small/,
  });
});
