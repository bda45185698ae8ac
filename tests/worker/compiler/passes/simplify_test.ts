import assert from "node:assert/strict";
import type { ValueId } from "../../../../worker/compiler/op.ts";
import { simplify } from "../../../../worker/compiler/passes/simplify.ts";
import { assertSameResults, build, type Emit, float, int, printed } from "./pass_support.ts";

type Expression = (emit: Emit, x: ValueId, n: ValueId) => ValueId;

const fill = (emit: Emit, value: number, ...shape: number[]) =>
  emit("fill", [], { type: float(...shape), value });

/** Expressions of x (2, 3) float32 and n (3) int32, and what is left of them. */
const SIMPLER: Record<string, { from: Expression; to: Expression }> = {
  "a reshape to the same shape": { from: (e, x) => e("reshape", [x], { shape: [2, 3] }), to: (_, x) => x },
  "a reshape of a reshape": {
    from: (e, x) => e("reshape", [e("reshape", [x], { shape: [6] })], { shape: [3, 2] }),
    to: (e, x) => e("reshape", [x], { shape: [3, 2] }),
  },
  "a reshape there and back": {
    from: (e, x) => e("reshape", [e("reshape", [x], { shape: [6] })], { shape: [2, 3] }),
    to: (e, x) => e("reshape", [x], { shape: [2, 3] }),
  },
  "a transpose that moves nothing": {
    from: (e, x) => e("transpose", [x], { perm: [0, 1] }),
    to: (_, x) => x,
  },
  "a transpose there and back": {
    from: (e, x) => e("transpose", [e("transpose", [x], { perm: [1, 0] })], { perm: [1, 0] }),
    to: (_, x) => x,
  },
  "a transpose of a transpose": {
    from: (e, x) => {
      const wide = e("reshape", [x], { shape: [1, 2, 3] });
      return e("transpose", [e("transpose", [wide], { perm: [1, 2, 0] })], { perm: [1, 2, 0] });
    },
    to: (e, x) => e("transpose", [e("reshape", [x], { shape: [1, 2, 3] })], { perm: [2, 0, 1] }),
  },
  "a cast to the same dtype": { from: (e, x) => e("cast", [x], { dtype: "float32" }), to: (_, x) => x },
  "a slice of everything": {
    from: (e, x) => e("slice", [x], { begin: [0, 0], size: [2, 3] }),
    to: (_, x) => x,
  },
  "a pad of nothing": { from: (e, x) => e("pad", [x], { before: [0, 0], after: [0, 0] }), to: (_, x) => x },
  "a tile of one": { from: (e, x) => e("tile", [x], { reps: [1, 1] }), to: (_, x) => x },
  "a concat of one": { from: (e, x) => e("concat", [x], { axis: 1 }), to: (_, x) => x },
  "a split into one": { from: (e, x) => e("split", [x], { axis: 1, sizes: [3] }), to: (_, x) => x },
  "a sum over one element": {
    from: (e, x) => e("reduceSum", [e("reshape", [x], { shape: [6, 1] })], { axes: [1], keepDims: false }),
    to: (e, x) => e("reshape", [e("reshape", [x], { shape: [6, 1] })], { shape: [6] }),
  },
  "a mean over no axis": {
    from: (e, x) => e("reduceMean", [x], { axes: [], keepDims: false }),
    to: (e, x) => e("reshape", [x], { shape: [2, 3] }),
  },
  "x + 0": { from: (e, x) => e("add", [x, fill(e, 0)], {}), to: (_, x) => x },
  "0 + x": { from: (e, x) => e("add", [fill(e, 0), x], {}), to: (_, x) => x },
  "x − 0": { from: (e, x) => e("sub", [x, fill(e, 0)], {}), to: (_, x) => x },
  "x · 1": { from: (e, x) => e("mul", [x, fill(e, 1)], {}), to: (_, x) => x },
  "1 · x": { from: (e, x) => e("mul", [fill(e, 1, 2, 3), x], {}), to: (_, x) => x },
  "x / 1": { from: (e, x) => e("div", [x, fill(e, 1)], {}), to: (_, x) => x },
  "x · a · b": {
    from: (e, x) => e("mul", [e("mul", [x, fill(e, 3)], {}), fill(e, 0.5)], {}),
    to: (e, x) => e("mul", [x, fill(e, 1.5)], {}),
  },
  "arithmetic of known numbers": {
    from: (e) => e("div", [e("sub", [fill(e, 1), fill(e, 3, 2)], {}), fill(e, 3)], {}),
    to: (e) => fill(e, Math.fround(-2 / 3), 2),
  },
  "a filled tensor beside one of the result's shape": {
    from: (e, x) => e("div", [e("add", [fill(e, 2, 2, 3), x], {}), fill(e, 4, 3)], {}),
    to: (e, x) => e("div", [e("add", [x, fill(e, 2)], {}), fill(e, 4)], {}),
  },
};

for (const [title, { from, to }] of Object.entries(SIMPLER)) {
  Deno.test(`simplify() makes less of ${title}`, async () => {
    const graph = (expression: Expression) =>
      build({ x: float(2, 3), n: int(3) }, ({ x, n }, emit) => ({ y: expression(emit, x, n) }));
    const simplified = simplify(graph(from));
    assert.equal(printed(simplified), printed(graph(to)));
    await assertSameResults(graph(from), simplified);
  });
}

/** What looks like the above and is not. */
const KEPT: Record<string, Expression> = {
  "0 − x": (e, x) => e("sub", [fill(e, 0), x], {}),
  "1 / x": (e, x) => e("div", [fill(e, 1), x], {}),
  "a sum that widens": (e, x) => e("add", [x, fill(e, 0, 4, 1, 1)], {}),
  "a product that widens": (e, x) => e("mul", [x, fill(e, 2, 4, 1, 1)], {}),
  "a product of products that widens": (e, x) =>
    e("mul", [e("mul", [x, fill(e, 3, 4, 1, 1)], {}), fill(e, 0.5)], {}),
  "arithmetic of integers": (e, _, n) => e("mul", [n, e("fill", [], { type: int(), value: 2 })], {}),
  "a sum over an axis": (e, x) => e("reduceSum", [x], { axes: [0], keepDims: true }),
  "a cast to another dtype": (e, _, n) => e("cast", [n], { dtype: "float32" }),
  "a part": (e, x) => e("slice", [x], { begin: [0, 1], size: [2, 2] }),
};

for (const [title, expression] of Object.entries(KEPT)) {
  Deno.test(`simplify() keeps ${title}`, async () => {
    const graph = build({ x: float(2, 3), n: int(3) }, ({ x, n }, emit) => ({ y: expression(emit, x, n) }));
    const simplified = simplify(graph);
    assert.equal(printed(simplified), printed(graph));
    await assertSameResults(graph, simplified);
  });
}
