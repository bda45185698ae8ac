import { type Draw, drawDistinct, type Probe, type ProbeItem, type ProbeShape } from "./probe.ts";

/**
 * Words of the templates, as ids from `values` on; A and B are names, P a place and O a thing. All have one length, as
 * `pad` comes before what is shorter.
 */
const TEMPLATES = [
  ["When", "A", "and", "B", "went to", "P", ",", "S", "gave", "O", "to"],
  ["Then", ",", "A", "and", "B", "were at", "P", "and", "S", "gave", "O", "to"],
  ["After", "B", "and", "A", "left", "P", ",", "S", "brought", "O", "to"],
  ["A", "met", "B", "at", "P", ".", "S", "showed", "O", "to"],
] as const;

const NAMES = new Set(["A", "B", "S", "P", "O", "pad"]);
const WORDS = [...new Set(TEMPLATES.flat().filter((word) => !NAMES.has(word)))];
const PLACES = 8, THINGS = 8;
/** Of a sentence with its answer. */
const LONGEST = 1 + Math.max(...TEMPLATES.map((words) => words.length));

/**
 * Indirect object identification (Wang et al. 2022): "When A and B went to the shop, B gave a drink to" → A, the name that
 * stands there once; the rival is the other. `values` names (ids below it), then places, things and words; `length` sentences
 * of other names come before, so that the question can stand far back.
 */
export function ioi({ length, values }: ProbeShape): Probe {
  const firstWord = values + PLACES + THINGS;
  const pad = firstWord + WORDS.length;
  return {
    vocabSize: pad + 1,
    promptLength: LONGEST * length,
    answerLength: 1,
    chance: 1 / 2,
    make(draw: Draw): ProbeItem {
      const names = drawDistinct(draw, { count: 2 * length, n: values });
      const prompt: number[] = [];
      let answer = 0, rival = 0, group = "";
      for (let sentence = 0; sentence < length; sentence++) {
        const template = draw(TEMPLATES.length);
        const [a, b] = names.slice(2 * sentence, 2 * sentence + 2);
        const isFirst = draw(2) === 0; // who gives
        const given = new Map([["A", a], ["B", b], ["S", isFirst ? a : b]]);
        given.set("P", values + draw(PLACES)).set("O", values + PLACES + draw(THINGS));
        const ids = TEMPLATES[template].map((word) => given.get(word) ?? firstWord + WORDS.indexOf(word));
        [answer, rival] = isFirst ? [b, a] : [a, b];
        group = `template ${template + 1}`;
        // All but the last sentence say who got it.
        const whole = sentence < length - 1 ? [...ids, answer] : ids;
        prompt.push(...Array<number>(LONGEST - whole.length).fill(pad), ...whole);
      }
      return {
        prompt: Int32Array.from(prompt),
        answer: Int32Array.of(answer),
        rival: Int32Array.of(rival),
        group,
      };
    },
  };
}
