import assert from "node:assert/strict";
import { checkLimit } from "../../../worker/engines/webgpu.ts";
import { tinyConfig } from "../tiny_model.ts";

const config = tinyConfig({ n_head: 2, n_embd: 8, block_size: 16, vocab_size: 100 });

Deno.test("checkLimit() takes a batch whose largest tensor just fits", () => {
  checkLimit(config, { batchSize: 4, length: 16 }, 4 * 4 * 16 * 100);
});

Deno.test("checkLimit() names the batch size that would fit", () => {
  assert.throws(() => checkLimit(config, { batchSize: 5, length: 16 }, 4 * 4 * 16 * 100), {
    code: "E_MEMORY",
    message: /^Cannot train with batch_size 5 on the engine webgpu: .* batch_size 4 fits$/,
  });
});

Deno.test("checkLimit() says so where no batch fits", () => {
  assert.throws(() => checkLimit(config, { batchSize: 5, length: 16 }, 1000), {
    code: "E_MEMORY",
    message: /a smaller model or block_size is required$/,
  });
});
