import assert from "node:assert/strict";
import fc from "fast-check";
import { StopFilter } from "../../worker/stop_filter.ts";

Deno.test("StopFilter shows the text before the first stop text, however it is cut", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 });
  fc.assert(fc.property(fc.array(words), words.filter((stop) => stop !== ""), (pieces, stop) => {
    const filter = new StopFilter(stop);
    let shown = "";
    for (const piece of pieces) {
      shown += filter.push(piece);
      assert(!shown.includes(stop));
    }
    shown += filter.end();
    const whole = pieces.join("");
    const end = whole.indexOf(stop);
    assert.equal(shown, end < 0 ? whole : whole.slice(0, end));
    assert.equal(filter.stopped, end >= 0);
  }));
});

Deno.test("StopFilter holds back only what may still become the stop text", () => {
  const filter = new StopFilter("\n\n");
  assert.equal(filter.push("one\n"), "one");
  assert.equal(filter.push("two\n"), "\ntwo");
  assert.equal(filter.push("\nthree"), "");
  assert(filter.stopped);
  assert.equal(filter.push("four"), "");
  assert.equal(filter.end(), "");
});

Deno.test("StopFilter without a stop text passes everything on at once", () => {
  const filter = new StopFilter(null);
  assert.equal(filter.push("all"), "all");
  assert.equal(filter.end(), "");
  assert(!filter.stopped);
});
