import type { DType } from "./op.ts";

/** The types of elements: those of graphs, narrow floats for products, and whole numbers for hashes. */
export type ElementType = DType | "bfloat16" | "float16" | "uint32" | "uint64";

/** The type of a value of a StableHLO program. */
export interface StablehloType {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
}

/** A value of the program: its name in the text, and its type. */
export interface Operand extends StablehloType {
  readonly name: string;
}

/** Attributes as MLIR writes them, by name. */
export type StablehloAttributes = Readonly<Record<string, string>>;

const ELEMENT: Readonly<Record<ElementType, string>> = {
  float32: "f32",
  bfloat16: "bf16",
  float16: "f16",
  int32: "i32",
  uint32: "ui32",
  uint64: "ui64",
  bool: "i1",
};

/** `tensor<12x64xf32>` */
export function tensorText({ dtype, shape }: StablehloType): string {
  return `tensor<${[...shape, ELEMENT[dtype]].join("x")}>`;
}

/** `array<i64: 1, 2>` */
export function integersText(values: readonly number[]): string {
  return values.length === 0 ? "array<i64>" : `array<i64: ${values.join(", ")}>`;
}

/** A number as MLIR reads it back without rounding it. */
function numberText(dtype: ElementType, value: number | bigint): string {
  if (typeof value === "bigint") return `${value}`;
  if (dtype === "bool") return value === 0 ? "false" : "true";
  if (dtype !== "float32") return `${value}`;
  if (!Number.isFinite(Math.fround(value))) {
    const [bits] = new Uint32Array(Float32Array.of(value).buffer);
    return `0x${bits.toString(16).toUpperCase()}`;
  }
  if (Object.is(value, -0)) return "-0.0";
  const [digits, exponent] = Math.fround(value).toExponential().split("e");
  return `${digits.includes(".") ? digits : `${digits}.0`}e${exponent}`;
}

/** Writes a StableHLO function line by line; nothing is checked beyond what the types of the operands say. */
export class StablehloText {
  readonly #inputs: { operand: Operand; replacedBy: number | undefined }[] = [];
  readonly #lines: string[] = [];
  #fresh = 0;

  /** Appends an input. Its buffer becomes that of the result number `replacedBy`, if given: nothing is copied. */
  input({ dtype, shape }: StablehloType, { replacedBy }: { replacedBy?: number } = {}): Operand {
    const operand = { dtype, shape, name: `%arg${this.#inputs.length}` };
    this.#inputs.push({ operand, replacedBy });
    return operand;
  }

  /** Appends an op of one result, in MLIR's generic form. */
  emit(
    op: string,
    operands: readonly Operand[],
    { type, attributes = {} }: { type: StablehloType; attributes?: StablehloAttributes },
  ): Operand {
    const names = operands.map(({ name }) => name).join(", ");
    const list = Object.entries(attributes).map(([name, value]) => `${name} = ${value}`);
    const braces = list.length === 0 ? "" : ` {${list.join(", ")}}`;
    const types = operands.map(tensorText).join(", ");
    return this.#append(`"${op}"(${names})${braces} : (${types}) -> ${tensorText(type)}`, type);
  }

  /** Every element the same number. */
  splat({ dtype, shape }: StablehloType, value: number | bigint): Operand {
    const type = { dtype, shape };
    return this.#append(`stablehlo.constant dense<${numberText(dtype, value)}> : ${tensorText(type)}`, type);
  }

  /** A vector of numbers. */
  vector(dtype: ElementType, data: readonly (number | bigint)[]): Operand {
    const type = { dtype, shape: [data.length] };
    const list = data.map((value) => numberText(dtype, value)).join(", ");
    return this.#append(`stablehlo.constant dense<[${list}]> : ${tensorText(type)}`, type);
  }

  /** Numbers that count 0, 1, … along one axis. */
  iota(type: StablehloType, axis: number): Operand {
    return this.emit("stablehlo.iota", [], { type, attributes: { iota_dimension: `${axis} : i64` } });
  }

  /** Folds axes away with an op of two operands that starts from `initial`. */
  reduce(op: string, x: Operand, { axes, initial }: { axes: readonly number[]; initial: number }): Operand {
    const start = this.splat({ dtype: x.dtype, shape: [] }, initial);
    const type = { dtype: x.dtype, shape: x.shape.filter((_, axis) => !axes.includes(axis)) };
    const along = `across dimensions = [${axes.join(", ")}]`;
    return this.#append(
      `stablehlo.reduce(${x.name} init: ${start.name}) applies ${op} ${along} : ` +
        `(${tensorText(x)}, ${tensorText(start)}) -> ${tensorText(type)}`,
      type,
    );
  }

  reshape(x: Operand, shape: readonly number[]): Operand {
    if (`${x.shape}` === `${shape}`) return x;
    return this.emit("stablehlo.reshape", [x], { type: { dtype: x.dtype, shape } });
  }

  convert(x: Operand, dtype: ElementType): Operand {
    if (x.dtype === dtype) return x;
    return this.emit("stablehlo.convert", [x], { type: { dtype, shape: x.shape } });
  }

  /** The box of `x` of the shape `size` from `begin` on. */
  slice(x: Operand, { begin, size }: { begin: readonly number[]; size: readonly number[] }): Operand {
    if (`${size}` === `${x.shape}`) return x;
    return this.emit("stablehlo.slice", [x], {
      type: { dtype: x.dtype, shape: size },
      attributes: {
        start_indices: integersText(begin),
        limit_indices: integersText(begin.map((first, axis) => first + size[axis])),
        strides: integersText(size.map(() => 1)),
      },
    });
  }

  /** Zeros before and after each axis. */
  pad(x: Operand, { before, after }: { before: readonly number[]; after: readonly number[] }): Operand {
    const shape = x.shape.map((size, axis) => before[axis] + size + after[axis]);
    return this.emit("stablehlo.pad", [x, this.splat({ dtype: x.dtype, shape: [] }, 0)], {
      type: { dtype: x.dtype, shape },
      attributes: {
        edge_padding_low: integersText(before),
        edge_padding_high: integersText(after),
        interior_padding: integersText(before.map(() => 0)),
      },
    });
  }

  /** Operands one after the other along an axis. */
  concat(operands: readonly Operand[], axis: number): Operand {
    const [{ dtype, shape }] = operands;
    if (operands.length === 1) return operands[0];
    const size = operands.reduce((sum, operand) => sum + operand.shape[axis], 0);
    return this.emit("stablehlo.concatenate", operands, {
      type: { dtype, shape: shape.with(axis, size) },
      attributes: { dimension: `${axis} : i64` },
    });
  }

  /** Axis i of `x` becomes axis `axes[i]` of `shape`, repeated where its size is 1; the last axes where none are named. */
  broadcast(
    x: Operand,
    shape: readonly number[],
    axes: readonly number[] = x.shape.map((_, axis) => shape.length - x.shape.length + axis),
  ): Operand {
    if (`${x.shape}` === `${shape}`) return x;
    return this.emit("stablehlo.broadcast_in_dim", [x], {
      type: { dtype: x.dtype, shape },
      attributes: { broadcast_dimensions: integersText(axes) },
    });
  }

  /** The whole module; its function `main` returns `results`. */
  module(results: readonly Operand[]): string {
    const inputs = this.#inputs.map(({ operand, replacedBy }) => {
      const alias = replacedBy === undefined ? "" : ` {tf.aliasing_output = ${replacedBy} : i32}`;
      return `${operand.name}: ${tensorText(operand)}${alias}`;
    });
    const types = results.map(tensorText).join(", ");
    return [
      "module @lockstep {",
      `  func.func public @main(${inputs.join(", ")}) -> (${types}) {`,
      ...this.#lines.map((line) => `    ${line}`),
      `    return ${results.map(({ name }) => name).join(", ")} : ${types}`,
      "  }",
      "}",
      "",
    ].join("\n");
  }

  #append(text: string, { dtype, shape }: StablehloType): Operand {
    const name = `%${this.#fresh++}`;
    this.#lines.push(`${name} = ${text}`);
    return { name, dtype, shape };
  }
}
