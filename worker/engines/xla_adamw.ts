import { type DecayRange } from "../optimizer/adamw.ts";
import { type Operand, StablehloText } from "../compiler/stablehlo_text.ts";

export interface AdamWProgramOptions {
  readonly ranges: readonly DecayRange[];
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
}

/**
 * A program (parameters, m, v, gradient float32 (n), scalars (4): scale, decay, step, root) → (parameters, m, v), which take
 * the place of what they were: the update of the kernel `adamw` (worker/kernels/arithmetic_text.ts), in the same order.
 */
export function adamwProgram(n: number, { ranges, beta1, beta2, eps }: AdamWProgramOptions): string {
  const to = new StablehloText();
  const flat = { dtype: "float32", shape: [n] } as const;
  const [p, m, v] = [0, 1, 2].map((replacedBy) => to.input(flat, { replacedBy }));
  const gradient = to.input(flat);
  const scalars = to.input({ dtype: "float32", shape: [4] });
  const op = (name: string, a: Operand, b: Operand) => to.emit(`stablehlo.${name}`, [a, b], { type: flat });
  const number = (value: number) => to.splat(flat, value);
  const scalar = (index: number, length = n) =>
    to.broadcast(to.slice(scalars, { begin: [index], size: [1] }), [length], [0]);
  const blend = (before: Operand, beta: number, value: Operand) =>
    op(
      "add",
      op("multiply", before, number(beta)),
      op("multiply", value, number(1 - Math.fround(beta))),
    );
  const G = op("multiply", gradient, scalar(0));
  const M = blend(m, beta1, G);
  const V = blend(v, beta2, op("multiply", G, G));
  const decays = ranges.map(({ length, decays }) =>
    decays ? scalar(1, length) : to.splat({ dtype: "float32", shape: [length] }, 1)
  );
  const root = to.emit("stablehlo.sqrt", [V], { type: flat });
  const below = op("add", op("multiply", root, scalar(3)), number(eps));
  const P = op(
    "subtract",
    op("multiply", p, to.concat(decays, 0)),
    op("divide", op("multiply", M, scalar(2)), below),
  );
  return to.module([P, M, V]);
}
