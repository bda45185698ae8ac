import type { Draw, Probe, ProbeItem, ProbeShape } from "./probe.ts";

const TIMES = 10, EQUALS = 11;

/**
 * Two numbers of `length` digits: digits, ×, digits, =, and the answer is their product in 2 · length digits, leading zeros
 * included, the last digit first, as one multiplies on paper (Lee et al. 2023, "Teaching Arithmetic to Small Transformers").
 */
export function multiplication({ length }: ProbeShape): Probe {
  return {
    vocabSize: EQUALS + 1,
    promptLength: 2 * length + 2,
    answerLength: 2 * length,
    chance: 10 ** (-2 * length),
    make(draw: Draw): ProbeItem {
      const [a, b] = [0, 1].map(() => Array.from({ length }, () => draw(10)));
      const product = BigInt(a.join("")) * BigInt(b.join(""));
      const digits = product.toString().padStart(2 * length, "0");
      return {
        prompt: Int32Array.from([...a, TIMES, ...b, EQUALS]),
        answer: Int32Array.from([...digits].reverse().map(Number)),
        rival: null,
        group: `${digits.replace(/^0+(?=.)/, "").length} digits`,
      };
    },
  };
}
