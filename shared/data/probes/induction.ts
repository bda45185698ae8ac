import { type Draw, drawDistinct, type Probe, type ProbeItem, type ProbeShape, quarter } from "./probe.ts";

/**
 * A B … A → B: `length` different ids below `values`, then one of them again; the answer is what followed it. What induction
 * heads do (Olsson et al. 2022, "In-context Learning and Induction Heads"); distances are grouped by quarters.
 */
export function induction({ length, values }: ProbeShape): Probe {
  return {
    vocabSize: values,
    promptLength: length + 1,
    answerLength: 1,
    chance: 1 / values,
    make(draw: Draw): ProbeItem {
      const ids = drawDistinct(draw, { count: length, n: values });
      const at = draw(length - 1);
      return {
        prompt: Int32Array.from([...ids, ids[at]]),
        answer: Int32Array.of(ids[at + 1]),
        rival: null,
        group: `distance ${quarter(length - 1 - at, length)}`,
      };
    },
  };
}
