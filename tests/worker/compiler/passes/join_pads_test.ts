import assert from "node:assert/strict";
import type { Graph } from "../../../../worker/compiler/graph.ts";
import type { ValueId } from "../../../../worker/compiler/op.ts";
import { joinPads } from "../../../../worker/compiler/passes/join_pads.ts";
import { simplify } from "../../../../worker/compiler/passes/simplify.ts";
import { assertSameResults, build, type Emit, float, printed } from "./pass_support.ts";

/** x padded along the first axis of a matrix. */
const padRows = (emit: Emit, x: ValueId, before: number, after: number) =>
  emit("pad", [x], { before: [before, 0], after: [after, 0] });

/** A sum of a (1, 2) padded to begin at row `at` and of b (2, 2) padded to begin at row `next`, of 5 rows. */
const sumOfTwo = (at: number, next: number): Graph =>
  build({ a: float(1, 2), b: float(2, 2) }, ({ a, b }, emit) => ({
    y: emit("add", [padRows(emit, a, at, 4 - at), padRows(emit, b, next, 3 - next)], {}),
  }));

Deno.test("joinPads() makes one concat of the padded thirds of a weight's gradient", async () => {
  const graph = build({ q: float(2, 2), k: float(2, 2), v: float(2, 2) }, ({ q, k, v }, emit) => {
    const sum = emit("add", [padRows(emit, q, 0, 4), padRows(emit, k, 2, 2)], {});
    return { y: emit("add", [sum, padRows(emit, v, 4, 0)], {}) };
  });
  const joined = simplify(joinPads(graph));
  assert.equal(
    printed(joined),
    `\
input q: float32[2,2]
input k: float32[2,2]
input v: float32[2,2]
%0: float32[6,2] = concat(q, k, v, axis=0)
output y = %0
`,
  );
  await assertSameResults(graph, joined);
});

Deno.test("joinPads() joins in the order of the rows, whatever the order of the sum, and keeps what is outside", async () => {
  const graph = build({ a: float(1, 2), b: float(2, 2) }, ({ a, b }, emit) => ({
    y: emit("add", [padRows(emit, b, 2, 1), padRows(emit, a, 1, 3)], {}),
  }));
  const joined = joinPads(graph);
  assert.equal(
    printed(joined),
    `\
input a: float32[1,2]
input b: float32[2,2]
%0: float32[3,2] = concat(a, b, axis=0)
%1: float32[5,2] = pad(%0, before=[1,0], after=[1,0])
output y = %1
`,
  );
  await assertSameResults(graph, joined);
});

const UNJOINED: Record<string, Graph> = {
  "with a gap between them": sumOfTwo(0, 2),
  "that overlap": sumOfTwo(1, 1),
  "that overlap in part": sumOfTwo(2, 1),
  "of different axes": build({ a: float(1, 3), b: float(2, 1) }, ({ a, b }, emit) => ({
    y: emit("add", [padRows(emit, a, 0, 1), emit("pad", [b], { before: [0, 1], after: [0, 1] })], {}),
  })),
  "along two axes at once": build({ a: float(1, 1), b: float(1, 1) }, ({ a, b }, emit) => ({
    y: emit("add", [
      emit("pad", [a], { before: [0, 0], after: [1, 1] }),
      emit("pad", [b], { before: [1, 1], after: [0, 0] }),
    ], {}),
  })),
  "of which one is read elsewhere": build({ a: float(1, 2), b: float(1, 2) }, ({ a, b }, emit) => {
    const padded = padRows(emit, a, 0, 1);
    return { y: emit("add", [padded, padRows(emit, b, 1, 0)], {}), padded };
  }),
  "that are the same": build({ a: float(1, 2) }, ({ a }, emit) => {
    const padded = padRows(emit, a, 0, 1);
    return { y: emit("add", [padded, padded], {}) };
  }),
  "of which one is repeated to the size of the other": build(
    { a: float(1, 1), b: float(1, 2) },
    ({ a, b }, emit) => ({
      y: emit("add", [padRows(emit, a, 0, 1), padRows(emit, b, 1, 0)], {}),
    }),
  ),
  "of which one is no pad": build({ a: float(1, 2), b: float(2, 2) }, ({ a, b }, emit) => ({
    y: emit("add", [padRows(emit, a, 0, 1), b], {}),
  })),
};

for (const [title, graph] of Object.entries(UNJOINED)) {
  Deno.test(`joinPads() leaves a sum of pads ${title}`, async () => {
    assert.equal(printed(joinPads(graph)), printed(graph));
    await assertSameResults(graph, joinPads(graph));
  });
}
