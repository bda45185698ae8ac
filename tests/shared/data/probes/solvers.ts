import type { ProbeName } from "../../../../shared/data/probes/open_probe.ts";
import type { ProbeShape } from "../../../../shared/data/probes/probe.ts";

/** Answers that see only the prompt, and know what the task is. */
export const SOLVERS: Record<ProbeName, (prompt: Int32Array, shape: ProbeShape) => number[]> = {
  induction(prompt) {
    const asked = prompt[prompt.length - 1];
    return [prompt[prompt.indexOf(asked) + 1]];
  },
  kv_retrieval(prompt) {
    const asked = prompt[prompt.length - 1];
    return [prompt[prompt.indexOf(asked) + 1]];
  },
  copy_repeat: (prompt) => [...prompt.subarray(0, -1)],
  multiplication(prompt, { length }) {
    const number = (from: number) => BigInt([...prompt.subarray(from, from + length)].join(""));
    return [...(number(0) * number(length + 1)).toString().padStart(2 * length, "0")].reverse().map(Number);
  },
  /** The name of the last sentence that stands there once. */
  ioi(prompt, { length, values }) {
    const last = [...prompt.subarray(prompt.length / length * (length - 1))].filter((id) => id < values);
    return last.filter((id) => last.indexOf(id) === last.lastIndexOf(id));
  },
};
