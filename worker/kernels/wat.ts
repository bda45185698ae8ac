/**
 * Pieces of WebAssembly text. A kernel's arithmetic is written once, over {@link Lanes}, and assembled twice: for
 * four numbers at a time and for the one to three that may be left at the end.
 */
export interface Lanes {
  /** Numbers handled at a time. */
  readonly count: 4 | 1;
  /** The WebAssembly type of a value. */
  readonly type: "v128" | "f32";
  /** Reads at the pointer held by a local. */
  load(pointer: string): string;
  /** Writes at the pointer held by a local, in the memory named if it is not the first. */
  store(pointer: string, value: string, memory?: string): string;
  /** An arithmetic instruction (add, sub, mul, div, sqrt) on values. */
  op(name: "add" | "sub" | "mul" | "div" | "sqrt", ...operands: string[]): string;
  /** A float32 parameter, in every lane. */
  all(scalar: string): string;
}

const four: Lanes = {
  count: 4,
  type: "v128",
  load: (pointer) => `(v128.load (local.get ${pointer}))`,
  store: (pointer, value, memory = "") => `(v128.store ${memory} (local.get ${pointer}) ${value})`,
  op: (name, ...operands) => `(f32x4.${name} ${operands.join(" ")})`,
  all: (scalar) => `(f32x4.splat ${scalar})`,
};

const one: Lanes = {
  count: 1,
  type: "f32",
  load: (pointer) => `(f32.load (local.get ${pointer}))`,
  store: (pointer, value, memory = "") => `(f32.store ${memory} (local.get ${pointer}) ${value})`,
  op: (name, ...operands) => `(f32.${name} ${operands.join(" ")})`,
  all: (scalar) => scalar,
};

/** A kernel that handles each number by itself. */
export interface Elementwise {
  name: string;
  /** Locals that hold a pointer each; all move on together. */
  pointers: string[];
  /** float32 parameters, after the pointers and the count. */
  scalars?: string[];
  /** Locals of the lanes' type. */
  values?: string[];
  /** What is done at the pointers: WebAssembly text. */
  body(lanes: Lanes, local: (value: string) => string): string;
}

/** The text of function `name(...pointers, n, ...scalars)`. */
export function elementwise(kernel: Elementwise): string {
  const { name, pointers, scalars = [], values = [] } = kernel;
  const local = (lanes: Lanes) => (value: string) => `$${value}${lanes.count}`;
  const declare = (lanes: Lanes) =>
    values.map((value) => `(local ${local(lanes)(value)} ${lanes.type})`).join(" ");
  const loop = (lanes: Lanes) =>
    countedLoop(
      `$by${lanes.count}`,
      lanes.count,
      `${kernel.body(lanes, local(lanes))}
       ${pointers.map((pointer) => advance(pointer, 4 * lanes.count)).join(" ")}`,
    );
  return `(func (export "${name}")
    ${pointers.map((pointer) => `(param ${pointer} i32)`).join(" ")} (param $n i32)
    ${scalars.map((scalar) => `(param ${scalar} f32)`).join(" ")}
    ${declare(four)} ${declare(one)}
    ${loop(four)}
    ${loop(one)})`;
}

/** Runs `body` and takes `count` from $n, as long as $n holds that many. */
export function countedLoop(label: string, count: number, body: string): string {
  return `(block ${label}Done (loop ${label}
    (br_if ${label}Done (i32.lt_u (local.get $n) (i32.const ${count})))
    ${body}
    ${advance("$n", -count)}
    (br ${label})))`;
}

/** Adds a constant to an i32 local. */
export function advance(local: string, by: number): string {
  return `(local.set ${local} (i32.add (local.get ${local}) (i32.const ${by})))`;
}
