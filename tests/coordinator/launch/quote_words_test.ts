import assert from "node:assert/strict";
import fc from "fast-check";
import { quoteWords } from "../../../coordinator/launch/quote_words.ts";

Deno.test("quoteWords() leaves plain words as they are", () => {
  assert.equal(quoteWords(["--lr=1e-3", "a/b.ts", "x:y"]), "--lr=1e-3 a/b.ts x:y");
});

Deno.test({
  name: "quoteWords() is read back by a shell, whatever the words are",
  ignore: Deno.build.os === "windows",
  fn() {
    const word = fc.string({ unit: "grapheme" }).filter((text) =>
      !text.includes("\0") && !text.includes("\n")
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
        const { stdout } = new Deno.Command("sh", { args: ["-c", `printf '%s\\n' ${quoteWords(words)}`] })
          .outputSync();
        assert.equal(new TextDecoder().decode(stdout), words.map((each) => `${each}\n`).join(""));
      }),
      { numRuns: 50 },
    );
  },
});
