import assert from "node:assert/strict";
import { PaddedDecoder } from "../../../worker/engines/padded_decoder.ts";

Deno.test("PaddedDecoder reads the last block_size tokens of each row and answers for its last one", async () => {
  const seen: number[][] = [];
  const size = { batchSize: 2, block_size: 3, vocab_size: 2 };
  // The logits of position t of row b are (its token, 10 b + t).
  const decoder = new PaddedDecoder({
    logits(tokens) {
      seen.push([...tokens]);
      const pairs = Array.from(tokens, (token, i) => [token, 10 * Math.floor(i / 3) + i % 3]);
      return Promise.resolve(Float32Array.from(pairs.flat()));
    },
  }, size);
  const prompts = Int32Array.of(4, 9, 5, 6);
  assert.deepEqual([...await decoder.prefill(prompts, Int32Array.of(1, 2))], [4, 0, 6, 11]);
  assert.deepEqual([...await decoder.append(Int32Array.of(7, 8))], [7, 1, 8, 12]);
  assert.deepEqual([...await decoder.append(Int32Array.of(1, 2))], [1, 2, 2, 12]);
  assert.deepEqual([...await decoder.prefill(prompts, Int32Array.of(2, 1))], [9, 1, 5, 10]);
  assert.deepEqual(seen, [[4, 0, 0, 5, 6, 0], [4, 7, 0, 5, 6, 8], [4, 7, 1, 6, 8, 2], [4, 9, 0, 5, 0, 0]]);
});
