/**
 * ONNX Runtime's C API through FFI, from the library inside the npm package onnxruntime-node. Its own binding for
 * JavaScript copies every output into a new buffer, and blocks the thread; here sessions read and write memory in place
 * and run beside JavaScript.
 */
import { fileURLToPath } from "node:url";
import manifest from "onnxruntime-node/package.json" with { type: "json" };
import { LockstepError } from "../../shared/errors.ts";
import { keepLoaded } from "../../shared/keep_loaded.ts";
import { NativeResource } from "./native_resource.ts";
import { outOfMemory } from "./out_of_memory.ts";

/** The library inside the package, by `Deno.build.os` and `Deno.build.arch`. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "linux-x86_64": "bin/napi-v6/linux/x64/libonnxruntime.so.1",
  "linux-aarch64": "bin/napi-v6/linux/arm64/libonnxruntime.so.1",
  "darwin-aarch64": `bin/napi-v6/darwin/arm64/libonnxruntime.${manifest.version}.dylib`,
  "windows-x86_64": "bin/napi-v6/win32/x64/onnxruntime.dll",
  "windows-aarch64": "bin/napi-v6/win32/arm64/onnxruntime.dll",
};

/** The version of the C API that the indices below belong to; later libraries keep them. */
const API_VERSION = 16;

/** Places in the table of functions `OrtApi` (onnxruntime_c_api.h). Each returns a status, null if all is well. */
const INDEX = {
  GetErrorMessage: 2,
  CreateEnv: 3,
  CreateSessionFromArray: 8,
  Run: 9,
  CreateSessionOptions: 10,
  EnableProfiling: 14,
  DisableMemPattern: 17,
  SetSessionLogSeverityLevel: 22,
  SetSessionGraphOptimizationLevel: 23,
  SetIntraOpNumThreads: 24,
  CreateTensorWithDataAsOrtValue: 49,
  CreateCpuMemoryInfo: 69,
  ReleaseStatus: 93,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseSessionOptions: 100,
} as const;

const STATUS = {
  CreateEnv: { parameters: ["i32", "buffer", "buffer"], result: "pointer" },
  CreateSessionFromArray: {
    parameters: ["pointer", "buffer", "usize", "pointer", "buffer"],
    result: "pointer",
  },
  CreateSessionOptions: { parameters: ["buffer"], result: "pointer" },
  EnableProfiling: { parameters: ["pointer", "buffer"], result: "pointer" },
  DisableMemPattern: { parameters: ["pointer"], result: "pointer" },
  SetSessionLogSeverityLevel: { parameters: ["pointer", "i32"], result: "pointer" },
  SetSessionGraphOptimizationLevel: { parameters: ["pointer", "i32"], result: "pointer" },
  SetIntraOpNumThreads: { parameters: ["pointer", "i32"], result: "pointer" },
  CreateCpuMemoryInfo: { parameters: ["i32", "i32", "buffer"], result: "pointer" },
  CreateTensorWithDataAsOrtValue: {
    parameters: ["pointer", "pointer", "usize", "buffer", "usize", "i32", "buffer"],
    result: "pointer",
  },
} as const;

const RUN = {
  parameters: ["pointer", "pointer", "buffer", "buffer", "usize", "buffer", "usize", "buffer"],
  result: "pointer",
  nonblocking: true,
} as const;
const RELEASE = { parameters: ["pointer"], result: "void" } as const;
const MESSAGE = { parameters: ["pointer"], result: "pointer" } as const;

const LOG_ERRORS = 3; // ORT_LOGGING_LEVEL_ERROR
const LOG_FATAL = 4; // ORT_LOGGING_LEVEL_FATAL
const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;
const ELEMENT_TYPE = { float32: 1, int32: 6 } as const; // ONNXTensorElementDataType

type Pointer = Deno.PointerValue;

/** The functions of ONNX Runtime that are used, and what all sessions share. */
class Runtime {
  readonly #api: Deno.UnsafePointerView;
  readonly #env: Pointer;
  readonly #cpu: Pointer;

  constructor(library: URL) {
    Deno.env.set("ORT_DISABLE_TELEMETRY", "1"); // read when it is loaded: or it writes logs and tries to reach its maker
    keepLoaded(fileURLToPath(library));
    const { symbols } = Deno.dlopen(library, { OrtGetApiBase: { parameters: [], result: "pointer" } });
    const base = viewOf(symbols.OrtGetApiBase());
    const getApi = callable(base.getPointer(0), { parameters: ["u32"], result: "pointer" } as const);
    this.#api = viewOf(getApi.call(API_VERSION));
    this.#env = this.make("CreateEnv", LOG_ERRORS, text("lockstep"));
    this.#cpu = this.make("CreateCpuMemoryInfo", ARENA_ALLOCATOR, DEFAULT_MEMORY);
  }

  /** A function of the table. */
  entry<const F extends Deno.ForeignFunction>(name: keyof typeof INDEX, type: F): Deno.UnsafeFnPointer<F> {
    return callable(this.#api.getPointer(8 * INDEX[name]), type);
  }

  /** Calls a function whose last parameter receives a pointer, and returns that. */
  make(name: keyof typeof STATUS, ...args: unknown[]): Pointer {
    const out = new BigUint64Array(1);
    this.call(name, ...args, new Uint8Array(out.buffer));
    return Deno.UnsafePointer.create(out[0]);
  }

  call(name: keyof typeof STATUS, ...args: unknown[]): void {
    // Types cannot spread arguments over a union of signatures; the table above is the one place that knows them.
    const entry = this.entry(name, STATUS[name]) as unknown as { call(...args: unknown[]): Pointer };
    this.check(entry.call(...args));
  }

  /** Throws what a status says: E_MEMORY where memory is short, otherwise E_ENGINE. */
  check(status: Pointer): void {
    if (status === null) return;
    const message = new Deno.UnsafePointerView(
      this.entry("GetErrorMessage", MESSAGE).call(status) as Deno.PointerObject,
    ).getCString();
    this.release("ReleaseStatus", status);
    const [said] = /failed to allocate .*/i.exec(message) ?? [message.trim()];
    if (/alloc|out of memory/i.test(message)) throw outOfMemory("onnx", { said });
    throw new LockstepError("E_ENGINE", `The engine onnx failed: ${said}`);
  }

  release(
    name: "ReleaseStatus" | "ReleaseSession" | "ReleaseValue" | "ReleaseSessionOptions",
    pointer: Pointer,
  ): void {
    this.entry(name, RELEASE).call(pointer);
  }

  createSession(program: Uint8Array<ArrayBuffer>, { threads, profile }: SessionOptions): Pointer {
    const options = this.make("CreateSessionOptions");
    try {
      this.call("SetIntraOpNumThreads", options, threads);
      this.call("SetSessionGraphOptimizationLevel", options, 0); // our passes chose; ONNX Runtime's would fuse it back
      this.call("DisableMemPattern", options); // as fast, with a third less memory and without a slow first step
      this.call("SetSessionLogSeverityLevel", options, LOG_FATAL); // what fails is thrown
      if (profile !== undefined) this.call("EnableProfiling", options, pathText(profile));
      return this.make("CreateSessionFromArray", this.#env, program, BigInt(program.length), options);
    } finally {
      this.release("ReleaseSessionOptions", options);
    }
  }

  /** A tensor over memory that JavaScript owns. */
  createTensor({ data, shape }: TensorView): Pointer {
    const type = data instanceof Float32Array ? ELEMENT_TYPE.float32 : ELEMENT_TYPE.int32;
    const dimensions = new Uint8Array(BigInt64Array.from(shape, BigInt).buffer);
    const { cpu, address } = { cpu: this.#cpu, address: Deno.UnsafePointer.of(data) };
    const rank = BigInt(shape.length);
    return this.make(
      "CreateTensorWithDataAsOrtValue",
      cpu,
      address,
      BigInt(data.byteLength),
      dimensions,
      rank,
      type,
    );
  }
}

let runtime: Runtime | undefined;

/** Loads ONNX Runtime, once for each JavaScript thread. Throws E_ENGINE where it cannot be loaded. */
export function loadOnnxRuntime(): Runtime {
  return runtime ??= open();
}

function open(): Runtime {
  const path = LIBRARIES[`${Deno.build.os}-${Deno.build.arch}`];
  try {
    if (path === undefined) throw new Error("the package has no build for it");
    return new Runtime(new URL(path, import.meta.resolve("onnxruntime-node/package.json")));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LockstepError(
      "E_ENGINE",
      `Cannot load ONNX Runtime from npm:onnxruntime-node@${manifest.version} on ${Deno.build.os} ${Deno.build.arch}: ${reason}; allow FFI (--allow-ffi) or use --engine=reference`,
      { cause },
    );
  }
}

/** Numbers in memory and the shape they have. The memory must not move or be freed while a run uses it. */
export interface TensorView {
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
  readonly shape: readonly number[];
}

export type TensorViews = Readonly<Record<string, TensorView>>;

export interface SessionOptions {
  readonly threads: number;
  /** How the name of a profile begins, which is written when the session is closed. */
  readonly profile?: string;
}

/** A program loaded by ONNX Runtime. */
export class OnnxSession implements Disposable {
  readonly #runtime = loadOnnxRuntime();
  readonly #pointer: Pointer;
  readonly #resource: NativeResource;

  /** `program` is the content of an .onnx file. */
  constructor(program: Uint8Array<ArrayBuffer>, options: SessionOptions) {
    this.#pointer = this.#runtime.createSession(program, options);
    this.#resource = new NativeResource(() => this.#runtime.release("ReleaseSession", this.#pointer));
  }

  /** Ties inputs and outputs to memory, once for many runs. */
  bind(inputs: TensorViews, outputs: TensorViews): OnnxRun {
    return new OnnxRun(this.#runtime, { pointer: this.#pointer, resource: this.#resource }, {
      inputs,
      outputs,
    });
  }

  /** Runs that are on their way end first. */
  [Symbol.dispose](): void {
    this.#resource[Symbol.dispose]();
  }
}

/** A session with all its inputs and outputs in place: each run reads and writes them as they are then. */
export class OnnxRun implements Disposable {
  readonly #inputs: Bound;
  readonly #outputs: Bound;
  readonly #resource: NativeResource;
  readonly #run: Deno.UnsafeFnPointer<typeof RUN>;

  constructor(
    private readonly runtime: Runtime,
    private readonly session: { readonly pointer: Pointer; readonly resource: NativeResource },
    { inputs, outputs }: { inputs: TensorViews; outputs: TensorViews },
  ) {
    this.#inputs = new Bound(runtime, inputs);
    this.#outputs = new Bound(runtime, outputs);
    this.#resource = new NativeResource(() =>
      [this.#inputs, this.#outputs].forEach((bound) => bound.release())
    );
    this.#run = runtime.entry("Run", RUN);
  }

  /** Computes on another thread; this one goes on. */
  async run(): Promise<void> {
    await this.session.resource.use(() => this.#resource.use(() => this.#compute()));
  }

  async #compute(): Promise<void> {
    const [inputs, outputs] = [this.#inputs, this.#outputs];
    this.runtime.check(
      await this.#run.call(
        this.session.pointer,
        null,
        inputs.names,
        inputs.values,
        inputs.count,
        outputs.names,
        outputs.count,
        outputs.values,
      ),
    );
  }

  /** A run that is on its way ends first. */
  [Symbol.dispose](): void {
    this.#resource[Symbol.dispose]();
  }
}

/** Named tensors as C wants them: an array of names and an array of values. */
class Bound {
  readonly count: bigint;
  readonly names: Uint8Array<ArrayBuffer>;
  readonly values: Uint8Array<ArrayBuffer>;
  readonly #pointers: Pointer[];
  /** What C still reads: kept from the garbage collector. */
  readonly #kept: unknown[];

  constructor(private readonly runtime: Runtime, tensors: TensorViews) {
    const names = Object.keys(tensors).map(text);
    this.#pointers = Object.values(tensors).map((tensor) => runtime.createTensor(tensor));
    this.count = BigInt(names.length);
    this.names = pointerArray(names.map((name) => Deno.UnsafePointer.of(name)));
    this.values = pointerArray(this.#pointers);
    this.#kept = [names, tensors];
  }

  release(): void {
    for (const pointer of this.#pointers.splice(0)) this.runtime.release("ReleaseValue", pointer);
    this.#kept.length = 0;
  }
}

function pointerArray(pointers: readonly Pointer[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigUint64Array.from(pointers, (pointer) => Deno.UnsafePointer.value(pointer)).buffer);
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}

/** Paths are UTF-16 on Windows. */
function pathText(path: string): Uint8Array<ArrayBuffer> {
  if (Deno.build.os !== "windows") return text(path);
  return new Uint8Array(Uint16Array.from(`${path}\0`, (unit) => unit.charCodeAt(0)).buffer);
}

function viewOf(pointer: Pointer): Deno.UnsafePointerView {
  if (pointer === null) throw new Error("the library does not offer the C API that is needed");
  return new Deno.UnsafePointerView(pointer);
}

function callable<const F extends Deno.ForeignFunction>(pointer: Pointer, type: F): Deno.UnsafeFnPointer<F> {
  if (pointer === null) throw new Error("the library lacks a function of the C API");
  return new Deno.UnsafeFnPointer(pointer as Deno.PointerObject<F>, type);
}
