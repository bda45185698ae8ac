import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";

/** All calls of one operator. */
export interface OperatorTime {
  /** ONNX's name: "MatMul". */
  readonly operator: string;
  readonly calls: number;
  readonly ms: number;
  /** Of matrix products: multiplications and additions; 0 for other operators. */
  readonly flops: number;
  /** Read and written, each tensor once. */
  readonly bytes: number;
}

const tensorsSchema = z.array(z.record(z.string(), z.array(z.number())));
const nodeSchema = z.object({
  cat: z.literal("Node"),
  name: z.string().endsWith("_kernel_time"),
  dur: z.number(),
  args: z.object({ op_name: z.string(), input_type_shape: tensorsSchema, output_type_shape: tensorsSchema }),
});

const PRODUCTS: ReadonlySet<string> = new Set(["MatMul", "FusedMatMul", "Gemm"]);
/** By ONNX Runtime's name; numbers of all types but these have four bytes. */
const BYTES: Readonly<Record<string, number>> = { int64: 8, bool: 1 };

/** What took the time in a profile of ONNX Runtime, by operator, the longest first. Throws E_DECODE. */
export function readOnnxProfile(text: string): OperatorTime[] {
  const totals = new Map<string, OperatorTime>();
  for (const event of parse(text)) {
    const { success, data } = nodeSchema.safeParse(event);
    if (!success) continue; // sessions, threads
    const { dur, args: { op_name: operator, input_type_shape: inputs, output_type_shape: outputs } } = data;
    const before = totals.get(operator) ?? { operator, calls: 0, ms: 0, flops: 0, bytes: 0 };
    totals.set(operator, {
      operator,
      calls: before.calls + 1,
      ms: before.ms + dur / 1000,
      flops: before.flops +
        (PRODUCTS.has(operator) ? flopsOfProduct(shapeOf(inputs[0]), shapeOf(outputs[0])) : 0),
      bytes: before.bytes + [...inputs, ...outputs].reduce((sum, tensor) => sum + bytesOf(tensor), 0),
    });
  }
  return [...totals.values()].sort((a, b) => b.ms - a.ms);
}

function parse(text: string): unknown[] {
  try {
    return z.array(z.unknown()).parse(JSON.parse(text));
  } catch (cause) {
    throw new LockstepError("E_DECODE", "Cannot read ONNX Runtime's profile as it is no list of events", {
      cause,
    });
  }
}

type Tensor = Readonly<Record<string, readonly number[]>>;

function shapeOf(tensor: Tensor | undefined): readonly number[] {
  return Object.values(tensor ?? {})[0] ?? [];
}

function bytesOf(tensor: Tensor): number {
  return Object.entries(tensor).reduce((sum, [type, shape]) => sum + (BYTES[type] ?? 4) * elements(shape), 0);
}

/** (…, M, K) or its transpose times (…, K, N) is (…, M, N): two operations for each of M·N·K. */
function flopsOfProduct(left: readonly number[], result: readonly number[]): number {
  const rows = result.at(-2) ?? 1;
  return 2 * elements(result) * elements(left.slice(-2)) / rows;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
