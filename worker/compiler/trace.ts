import * as tf from "@tensorflow/tfjs";
import { LockstepError } from "../../shared/errors.ts";
import { Graph } from "./graph.ts";
import type { TensorType, ValueId } from "./op.ts";
import { withBackend } from "../model/with_backend.ts";
import { dtypeOf, KERNELS } from "./trace_kernels.ts";

const BACKEND = "trace";

/** Names of the inputs and their types, in the order in which the graph takes them. */
export type Signature = Readonly<Record<string, TensorType>>;

type Tensors = Record<string, tf.Tensor>;

/**
 * A TensorFlow.js backend whose kernels compute shape and dtype only and append a node to a graph.
 * Constants above this size must be made by `tf.fill` or `tf.range`, which leave one small node.
 */
const LARGEST_CONSTANT = 1 << 16;

class TraceBackend extends tf.KernelBackend {
  graph = new Graph();
  private values = new WeakMap<object, ValueId>();
  private live = 0;

  /** Forgets the last trace. */
  begin(): Graph {
    this.values = new WeakMap();
    return this.graph = new Graph();
  }

  tensor(value: ValueId): tf.Tensor {
    const { dtype, shape } = this.graph.type(value);
    return tf.engine().makeTensorFromDataId(this.bind(value), [...shape], dtype, this);
  }

  bind(value: ValueId): object {
    const dataId = {};
    this.values.set(dataId, value);
    this.live++;
    return dataId;
  }

  idOf(dataId: object): ValueId {
    const value = this.values.get(dataId);
    if (value === undefined) {
      throw new LockstepError(
        "E_GRAPH",
        "Cannot use a tensor made outside the traced function: pass it as an argument",
      );
    }
    return value;
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    return this.bind(this.constant(values, { dtype: dtypeOf(dtype), shape }));
  }

  override move(dataId: object, values: tf.BackendValues, shape: number[], dtype: tf.DataType): void {
    this.values.set(dataId, this.constant(values, { dtype: dtypeOf(dtype), shape }));
  }

  private constant(values: tf.BackendValues, type: TensorType): ValueId {
    const data = Array.from(values, Number);
    if (data.length > 1 && data.every((x) => Object.is(x, data[0]))) {
      return this.graph.add("fill", [], { type, value: data[0] })[0];
    }
    if (data.length > LARGEST_CONSTANT) {
      throw new LockstepError(
        "E_GRAPH",
        `Cannot store a constant of ${data.length} elements in the graph as at most ${LARGEST_CONSTANT} are stored: make it with tf.fill, tf.range and arithmetic`,
      );
    }
    return this.graph.add("constant", [], { type, data })[0];
  }

  override readSync(): never {
    throw new LockstepError(
      "E_GRAPH",
      "Cannot read a tensor's values (dataSync, arraySync) while the model is traced",
    );
  }
  override read(): never {
    return this.readSync();
  }
  override numDataIds(): number {
    return this.live;
  }
  override disposeData(): boolean {
    this.live--;
    return true;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
  override dispose(): void {}
}

let backend: TraceBackend | undefined;

/** Registers the backend and its kernels once a thread. */
function traceBackend(): TraceBackend {
  if (backend !== undefined) return backend;
  const made = backend = new TraceBackend();
  tf.registerBackend(BACKEND, () => made);
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const list = Object.values(inputs).flat().filter((x) => x !== null && x !== undefined);
        const operands = list.map(({ dataId }) => made.idOf(dataId));
        const results = kernel(made.graph, operands, attrs ?? {}).map((value) => {
          const { dtype, shape } = made.graph.type(value);
          return { dataId: made.bind(value), shape: [...shape], dtype };
        });
        return results.length === 1 ? results[0] : results;
      },
    });
  }
  return made;
}

/** Declares one more input while tracing. */
export type DeclareInput = (name: string, type: TensorType) => tf.Tensor;

/**
 * Runs `fn` once on symbolic tensors and returns what it did as a graph. Autodiff inside `fn`
 * (`tf.valueAndGrads`) is traced like everything else. An op the compiler does not know is an
 * E_UNSUPPORTED_OP that names the line which used it.
 */
export function trace(
  fn: (args: Tensors, declare: DeclareInput) => Tensors,
  signature: Signature,
): Promise<Graph> {
  const tracer = traceBackend();
  return withBackend(BACKEND, () => {
    const graph = tracer.begin();
    const stackTraceLimit = Error.stackTraceLimit;
    Error.stackTraceLimit = STACK_FRAMES;
    tf.engine().startScope();
    try {
      const declare: DeclareInput = (name, type) => tracer.tensor(graph.input(name, type));
      const args = Object.fromEntries(
        Object.entries(signature).map(([name, type]) => [name, declare(name, type)]),
      );
      for (const [name, tensor] of Object.entries(fn(args, declare))) {
        graph.output(name, tracer.idOf(tensor.dataId));
      }
      return graph;
    } catch (error) {
      throw explain(error);
    } finally {
      tf.engine().endScope();
      Error.stackTraceLimit = stackTraceLimit;
    }
  });
}

/** Enough to reach the model's line through the layers of TensorFlow.js. */
const STACK_FRAMES = 100;

/** Parts of the paths of TensorFlow.js and of what traces it. */
const NOT_THE_MODEL = [
  "/npm/",
  "/node_modules/",
  new URL(".", import.meta.url).href,
  new URL("../model/with_backend.ts", import.meta.url).href,
];

/** Adds the model's line to a refusal, and turns TensorFlow.js's complaint about a missing kernel into one. */
function explain(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const cause = { cause: error };
  if (error instanceof LockstepError) {
    return new LockstepError(error.code, `${error.message} (${placeOf(error)})`, cause);
  }
  const kernel = /[Kk]ernel '(\w+)'/.exec(error.message)?.[1];
  if (kernel === undefined) return error;
  return new LockstepError(
    "E_UNSUPPORTED_OP",
    `Cannot compile the op ${kernel} (${
      placeOf(error)
    }): the compiler has no rule for it; write it with other ops or train with --engine=reference`,
    cause,
  );
}

/** Where in the model an error came from; autodiff runs the gradient of an op far from the line that used it. */
function placeOf({ stack = "" }: Error): string {
  if (stack.includes("backpropagateGradients")) return "in the gradient of an op of the model";
  const frame = stack.split("\n").find((line) =>
    line.includes("file://") && !NOT_THE_MODEL.some((part) => line.includes(part))
  );
  return `at ${frame?.match(/(file:\/\/[^)\s]+)/)?.[1] ?? "an unknown line"}`;
}
