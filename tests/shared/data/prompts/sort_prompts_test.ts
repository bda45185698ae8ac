import assert from "node:assert/strict";
import fc from "fast-check";
import { isHeldOut } from "../../../../shared/data/held_out.ts";
import { SortPrompts } from "../../../../shared/data/prompts/sort_prompts.ts";

const shape = { length: 4, values: 12 };
const prompts = new SortPrompts(shape);

Deno.test("SortPrompts.encode() gives the numbers and the separator, with spaces or commas between", () => {
  const numbers = fc.array(fc.nat(shape.values - 1), { minLength: 4, maxLength: 4 });
  fc.assert(fc.property(numbers, fc.constantFrom(" ", ",", ", ", "\n"), (input, gap) => {
    assert.deepEqual([...prompts.encode(` ${input.join(gap)} `)], [...input, shape.values]);
  }));
});

Deno.test("SortPrompts.encode() refuses all but exactly `length` numbers, saying what is required", () => {
  const required = "this model takes exactly 4 whole numbers from 0 to 11, with spaces between them";
  const refusals = [["3 1 4", "3 were given"], ["1 2 3 4 5", "5 were given"], ["", "0 were given"]];
  for (const word of ["12", "-1", "1.5", "x", "0x1", "1e1"]) {
    refusals.push([`1 2 3 ${word}`, `"${word}" is none`]);
  }
  for (const [prompt, reason] of refusals) {
    assert.throws(() => prompts.encode(prompt), {
      code: "E_USAGE",
      message: `Cannot sort ${JSON.stringify(prompt)} as ${required}: ${reason}`,
    });
  }
});

Deno.test("SortPrompts.choose() gives held-out sequences, others for each sample and seed", () => {
  const chosen = new Set<string>();
  for (let sample = 0; sample < 50; sample++) {
    for (const seed of [1, 2]) {
      const prompt = prompts.choose({ seed, sample });
      assert.equal(prompt, prompts.choose({ seed, sample }));
      assert(isHeldOut(prompts.encode(prompt), shape.length));
      chosen.add(prompt);
    }
  }
  assert(chosen.size > 90, `${chosen.size} different ones`);
});

Deno.test("SortPrompts reads an answer as numbers with spaces between, a separator as a bar", () => {
  const decoder = prompts.decoder();
  assert.equal([0, 11, 12, 3].map((id) => decoder.push(id)).join("") + decoder.end(), "0 11 | 3");
  assert.equal(prompts.decoder().push(7), "7");
});

Deno.test("SortPrompts are usually answered greedily and in full", () => {
  assert.deepEqual(prompts.usual, { maxNewTokens: 4, temperature: 0 });
});
