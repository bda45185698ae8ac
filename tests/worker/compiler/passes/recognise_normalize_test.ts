import assert from "node:assert/strict";
import type { Graph } from "../../../../worker/compiler/graph.ts";
import type { OpAttributes, ValueId } from "../../../../worker/compiler/op.ts";
import { shareCommonSubexpressions } from "../../../../worker/compiler/passes/common_subexpressions.ts";
import { recogniseNormalize } from "../../../../worker/compiler/passes/recognise_normalize.ts";
import { assertSameResults, build, type Emit, float, printed } from "./pass_support.ts";

const LAST: OpAttributes["reduceMean"] = { axes: [1], keepDims: true };

/** The parts of a layer norm; a test changes one of them. */
interface Parts {
  readonly mean: OpAttributes["reduceMean"];
  readonly variance: OpAttributes["reduceMean"];
  readonly square: (emit: Emit, centred: ValueId, x: ValueId) => ValueId;
  readonly epsilon: (emit: Emit) => ValueId;
}

const PARTS: Parts = {
  mean: LAST,
  variance: LAST,
  square: (emit, centred) => emit("mul", [centred, centred], {}),
  epsilon: (emit) => emit("fill", [], { type: float(), value: 1e-5 }),
};

function layerNorm(emit: Emit, x: ValueId, parts: Parts = PARTS): { y: ValueId; r: ValueId } {
  const centred = emit("sub", [x, emit("reduceMean", [x], parts.mean)], {});
  const variance = emit("reduceMean", [parts.square(emit, centred, x)], parts.variance);
  const r = emit("reciprocal", [emit("sqrt", [emit("add", [variance, parts.epsilon(emit)], {})], {})], {});
  return { y: emit("mul", [centred, r], {}), r };
}

async function recognised(graph: Graph): Promise<string> {
  const shared = shareCommonSubexpressions(graph);
  const result = recogniseNormalize(shared);
  await assertSameResults(shared, result);
  return printed(result);
}

Deno.test("recogniseNormalize() makes one node of a layer norm, its inverse deviation included", async () => {
  const graph = build({ x: float(3, 4) }, ({ x }, emit) => ({ ...layerNorm(emit, x) }));
  assert.equal(
    await recognised(graph),
    `\
input x: float32[3,4]
%0: float32[3,4], %1: float32[3,1] = normalize(x, epsilon=0.00001)
output y = %0
output r = %1
`,
  );
});

Deno.test("recogniseNormalize() takes the factors in either order, and norms that share their input once", async () => {
  const graph = build({ x: float(3, 4) }, ({ x }, emit) => {
    const { r } = layerNorm(emit, x);
    const centred = emit("sub", [x, emit("reduceMean", [x], LAST)], {});
    return { y: emit("mul", [r, centred], {}), z: layerNorm(emit, x).y };
  });
  assert.equal(
    await recognised(graph),
    `\
input x: float32[3,4]
%0: float32[3,4], %1: float32[3,1] = normalize(x, epsilon=0.00001)
output y = %0
output z = %0
`,
  );
});

Deno.test("recogniseNormalize() keeps norms of different inputs and of different epsilons apart", async () => {
  const graph = build({ x: float(3, 4), w: float(3, 4) }, ({ x, w }, emit) => ({
    first: layerNorm(emit, x).y,
    second: layerNorm(emit, w).y,
    wide: layerNorm(emit, x, { ...PARTS, epsilon: (e) => e("fill", [], { type: float(), value: 1 }) }).y,
  }));
  assert.equal(
    await recognised(graph),
    `\
input x: float32[3,4]
input w: float32[3,4]
%0: float32[3,4], %1: float32[3,1] = normalize(x, epsilon=0.00001)
%2: float32[3,4], %3: float32[3,1] = normalize(w, epsilon=0.00001)
%4: float32[3,4], %5: float32[3,1] = normalize(x, epsilon=1)
output first = %0
output second = %2
output wide = %4
`,
  );
});

Deno.test("recogniseNormalize() does not mix the deviation of one input with another", async () => {
  const graph = build({ x: float(3, 4), w: float(3, 4) }, ({ x, w }, emit) => {
    const centred = emit("sub", [w, emit("reduceMean", [w], LAST)], {});
    return { y: emit("mul", [centred, layerNorm(emit, x).r], {}) };
  });
  assert.match(await recognised(graph), /normalize\(x, .*\n.*mul\(/);
});

const OTHERS: Record<string, Partial<Parts>> = {
  "a mean over another axis": { mean: { axes: [0], keepDims: true } },
  "a mean over all axes": { mean: { axes: [0, 1], keepDims: true } },
  "a variance over another axis": { variance: { axes: [0], keepDims: true } },
  "the square of the input": { square: (emit, _, x) => emit("mul", [x, x], {}) },
  "a product with the input": { square: (emit, centred, x) => emit("mul", [centred, x], {}) },
  "an absolute value": { square: (emit, centred) => emit("abs", [centred], {}) },
  "an epsilon of each entry": { epsilon: (emit) => emit("fill", [], { type: float(3, 4), value: 1e-5 }) },
  "an epsilon that is not known": {
    epsilon: (emit) => emit("exp", [emit("fill", [], { type: float(), value: -9 })], {}),
  },
};

for (const [title, part] of Object.entries(OTHERS)) {
  Deno.test(`recogniseNormalize() leaves a norm with ${title}`, async () => {
    const graph = build(
      { x: float(3, 4) },
      ({ x }, emit) => ({ ...layerNorm(emit, x, { ...PARTS, ...part }) }),
    );
    assert.equal(await recognised(graph), printed(shareCommonSubexpressions(graph)));
  });
}
