import assert from "node:assert/strict";
import fc from "fast-check";
import { framesOf, type Part, segmentsOf } from "../../../worker/collective/buckets.ts";

/** Asserts that parts follow each other from `start` on, and returns where they end. */
function end(parts: readonly Part[], start: number): number {
  for (const part of parts) {
    assert.equal(part.start, start);
    start += part.length;
  }
  return start;
}

Deno.test("segmentsOf() and framesOf() cut a gradient without gaps, at blocks of 64 KiB, evenly", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000_000 }),
      fc.integer({ min: 1, max: 64 }),
      fc.nat(9),
      (n, members, block) => {
        const start = 16_384 * block;
        const segments = segmentsOf({ start, length: n }, members);
        assert.equal(segments.length, members);
        assert.equal(end(segments, start), start + n);
        const lengths = segments.map(({ length }) => length);
        assert.ok(Math.max(...lengths) - Math.min(...lengths) < 2 * 16_384);
        for (const segment of segments) {
          if (segment.length > 0) assert.equal(segment.start % 16_384, 0);
          const frames = framesOf(segment, 32_768);
          assert.equal(end(frames, segment.start), segment.start + segment.length);
          assert.ok(frames.every(({ length }) => length > 0 && length <= 32_768));
        }
      },
    ),
  );
});
