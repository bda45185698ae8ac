import assert from "node:assert/strict";
import { earlyStopping } from "../../coordinator/early_stopping.ts";

const judge = (losses: readonly number[], { patience = 2, threshold = 0 } = {}) =>
  earlyStopping(new Map(losses.map((loss, i) => [10 * (i + 1), loss])), { patience, threshold });

Deno.test("earlyStopping() stops after as many evaluations in a row without a lower loss as patience says", () => {
  assert.deepEqual(judge([]), { best: null, waited: 0, stops: false });
  assert.deepEqual(judge([3, 2, 2.5]), { best: { step: 20, loss: 2 }, waited: 1, stops: false });
  assert.deepEqual(judge([3, 2, 2.5, 2]), { best: { step: 20, loss: 2 }, waited: 2, stops: true });
  assert.deepEqual(judge([3, 2, 2.5, 1, 1.5]), { best: { step: 40, loss: 1 }, waited: 1, stops: false });
});

Deno.test("earlyStopping() waits on while losses fall by no more than the threshold, and still knows the lowest", () => {
  const { best, waited, stops } = judge([3, 2.95, 2.9, 2.85], { patience: 3, threshold: 0.1 });
  assert.deepEqual({ best, waited, stops }, { best: { step: 40, loss: 2.85 }, waited: 3, stops: true });
  // Each is compared with the lowest so far, as transformers does, not with the last that counted.
  assert.equal(judge([3, 2.95, 2.84], { threshold: 0.1 }).waited, 0);
});

Deno.test("earlyStopping() takes losses in the order of their steps, and not those of the first weights", () => {
  const losses = new Map([[20, 2.5], [0, 1], [10, 2], [30, 2.2]]);
  assert.deepEqual(earlyStopping(losses, { patience: 3, threshold: 0 }), {
    best: { step: 10, loss: 2 },
    waited: 2,
    stops: false,
  });
});
