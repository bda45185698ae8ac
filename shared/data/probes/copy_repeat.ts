import type { Draw, Probe, ProbeItem, ProbeShape } from "./probe.ts";

/** A number stands at most so often in a row. */
const LONGEST_RUN = 4;

/**
 * The same again, as often as it was there: `length` ids below `values` in runs of one to four, a separator (values), and the
 * answer is the same ids. Repeats get lost where a model copies what stands there, and not how often.
 */
export function copyRepeat({ length, values }: ProbeShape): Probe {
  return {
    vocabSize: values + 1,
    promptLength: length + 1,
    answerLength: length,
    chance: values ** -length,
    make(draw: Draw): ProbeItem {
      const ids: number[] = [];
      let longest = 0;
      while (ids.length < length) {
        const before = ids.at(-1);
        const other = draw(before === undefined ? values : values - 1);
        const id = before !== undefined && other >= before ? other + 1 : other;
        const run = Math.min(1 + draw(LONGEST_RUN), length - ids.length);
        longest = Math.max(longest, run);
        for (let i = 0; i < run; i++) ids.push(id);
      }
      return {
        prompt: Int32Array.from([...ids, values]),
        answer: Int32Array.from(ids),
        rival: null,
        group: `longest run ${longest}`,
      };
    },
  };
}
