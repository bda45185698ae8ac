import { type Draw, drawDistinct, type Probe, type ProbeItem, type ProbeShape, quarter } from "./probe.ts";

/**
 * A value by its key: `length` pairs of a key (an id below `values`, all different) and a value (an id from `values` on), a
 * separator (2 · values), a key; the answer is its value. The curve over distance is the long-context curve (Liu et al. 2023,
 * "Lost in the Middle").
 */
export function kvRetrieval({ length, values }: ProbeShape): Probe {
  return {
    vocabSize: 2 * values + 1,
    promptLength: 2 * length + 2,
    answerLength: 1,
    chance: 1 / values,
    make(draw: Draw): ProbeItem {
      const keys = drawDistinct(draw, { count: length, n: values });
      const held = keys.map(() => values + draw(values));
      const at = draw(length);
      return {
        prompt: Int32Array.from([...keys.flatMap((key, i) => [key, held[i]]), 2 * values, keys[at]]),
        answer: Int32Array.of(held[at]),
        rival: null,
        group: `distance ${quarter(length - 1 - at, length)}`,
      };
    },
  };
}
