import { LockstepError } from "../../shared/errors.ts";
import { NativeResource } from "./native_resource.ts";
import { type CompilerOptions, encodeCompileOptions } from "./pjrt_options.ts";
import {
  addressOf,
  type Field,
  freeWith,
  type PjrtApi,
  type Struct,
  textAt,
  words,
  zeros,
} from "./pjrt_api.ts";

/** Numbers in host memory. */
export type HostArray = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** An option of a client, by PJRT's name. */
export type ClientOptions = Readonly<Record<string, boolean>>;

const BUFFER_TYPE = { int32: 4, float32: 11 } as const; // PJRT_Buffer_Type
const NAMED_VALUE_BYTES = 56; // PJRT_NamedValue: size, extension, name, its length, type, value, its length
const NAMED_BOOL = 4; // PJRT_NamedValue_kBool
const DURING_CALL = 0; // PJRT_HostBufferSemantics: the numbers are copied before the call returns
const WHILE_IT_LIVES = 2; // the buffer may be the host's memory itself

const EXECUTE_OPTIONS = 18; // words: the fields of PJRT_ExecuteOptions, all zero, and spare ones

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A device that XLA computes on: the first that a plugin offers. */
export class PjrtClient {
  /** `cpu` or `cuda` */
  readonly platform: string;
  /** What kind the device is, as the plugin names it. */
  readonly deviceKind: string;
  /** Versions of the API and of the platform. */
  readonly version: string;
  readonly #client: bigint;
  readonly #device: bigint;

  /** Throws E_ENGINE where the plugin finds no device. It lives as long as the process. */
  constructor(private readonly api: PjrtApi, options: ClientOptions = {}) {
    const names = Object.keys(options).map(utf8);
    const values = words(
      Object.values(options).flatMap((value, i) => [
        ...[NAMED_VALUE_BYTES, 0, addressOf(names[i]), names[i].length, NAMED_BOOL, Number(value), 1],
      ]),
    );
    const fields = [values, names.length, 0, 0, 0, 0, 0, 0, 0];
    this.#client = createClient(api, fields, names);
    const text = (name: "PJRT_Client_PlatformName" | "PJRT_Client_PlatformVersion") => {
      const struct = this.api.call(name, [this.#client, 0, 0]);
      return textAt(struct[3], struct[4]);
    };
    this.platform = text("PJRT_Client_PlatformName");
    this.version = `PJRT ${this.api.version}, ${text("PJRT_Client_PlatformVersion")}`;
    this.#device = this.#firstDevice();
    const description = this.api.call("PJRT_Device_GetDescription", [this.#device, 0])[3];
    const kind = this.api.call("PJRT_DeviceDescription_Kind", [description, 0, 0]);
    this.deviceKind = textAt(kind[3], kind[4]);
  }

  /** Compiles the text of a StableHLO module. */
  async compile(code: string, options: CompilerOptions = {}): Promise<PjrtProgram> {
    const [text, format, choices] = [utf8(code), utf8("mlir"), encodeCompileOptions(options)];
    const program = words([48, 0, addressOf(text), text.length, addressOf(format), format.length]);
    const fields = [this.#client, program, choices, choices.length, 0];
    const struct = await this.api.callAsync("PJRT_Client_Compile", fields, [text, format]);
    return new PjrtProgram(this.api, struct[6]);
  }

  /** Loads what {@link PjrtProgram.serialize} gave; E_ENGINE if this plugin does not take it. */
  async load(serialized: Uint8Array<ArrayBuffer>): Promise<PjrtProgram> {
    const fields = [this.#client, serialized, serialized.length, 0, 0, 0];
    const struct = await this.api.callAsync("PJRT_Executable_DeserializeAndLoad", fields);
    return new PjrtProgram(this.api, struct[5]);
  }

  /**
   * Numbers on the device. They are copied at once; with `inPlace` the device may go on reading the host's memory, which
   * then must not change while the buffer is in use.
   */
  upload(
    data: HostArray,
    shape: readonly number[],
    { inPlace = false }: { inPlace?: boolean } = {},
  ): PjrtBuffer {
    const type = data instanceof Float32Array ? BUFFER_TYPE.float32 : BUFFER_TYPE.int32;
    const semantics = inPlace ? WHILE_IT_LIVES : DURING_CALL;
    const struct = this.api.call("PJRT_Client_BufferFromHostBuffer", [
      ...[this.#client, data, type, words(shape), shape.length, 0, 0, semantics, this.#device, 0, 0, 0, 0],
    ]);
    this.api.call("PJRT_Event_Destroy", [struct[13]]);
    return new PjrtBuffer(this.api, struct[14], data);
  }

  #firstDevice(): bigint {
    const devices = this.api.call("PJRT_Client_AddressableDevices", [this.#client, 0, 0]);
    const list = Deno.UnsafePointer.create(devices[3]);
    if (devices[4] === 0n || list === null) {
      throw new LockstepError("E_ENGINE", `Cannot use the engine xla as ${this.platform} shows no device`);
    }
    return new Deno.UnsafePointerView(list).getBigUint64(0);
  }
}

/** A GPU that is missing, busy, or without its driver shows here. */
function createClient(api: PjrtApi, fields: readonly Field[], names: readonly unknown[]): bigint {
  try {
    return api.call("PJRT_Client_Create", fields, names)[8];
  } catch (cause) {
    if (!(cause instanceof LockstepError)) throw cause;
    throw new LockstepError(cause.code, `${cause.message}: a device and its driver are required`, { cause });
  }
}

/** Numbers on a device. */
export class PjrtBuffer implements Disposable {
  #address: bigint;
  /** What the device may read in place: kept from the garbage collector. */
  #host: HostArray | undefined;

  constructor(private readonly api: PjrtApi, address: bigint, host?: HostArray) {
    this.#address = address;
    this.#host = host;
  }

  get address(): bigint {
    return this.#address;
  }

  /** Copies all numbers to the host, when they have been computed. */
  async read<A extends HostArray | Uint32Array<ArrayBuffer>>(into: A): Promise<A> {
    const struct = await this.api.callAsync("PJRT_Buffer_ToHostBuffer", [
      ...[this.#address, 0, into, into.byteLength, 0],
    ]);
    await this.api.finish(struct[6]);
    return into;
  }

  [Symbol.dispose](): void {
    if (this.#address !== 0n) this.api.call("PJRT_Buffer_Destroy", [this.#address]);
    this.#address = 0n;
    this.#host = undefined;
  }
}

/** A compiled program. */
export class PjrtProgram implements Disposable {
  readonly #resource: NativeResource;

  constructor(private readonly api: PjrtApi, private readonly executable: bigint) {
    this.#resource = new NativeResource(() => api.call("PJRT_LoadedExecutable_Destroy", [executable]));
  }

  /** Runs it to its end in another thread; `outputs` is the number of its results. */
  async execute(inputs: readonly PjrtBuffer[], outputs: number): Promise<PjrtBuffer[]> {
    const made = zeros(outputs);
    const results = () => Array.from(made, (address) => new PjrtBuffer(this.api, address));
    try {
      await this.#resource.use(() => this.#execute(inputs, made));
      return results();
    } catch (error) {
      for (const result of results()) result[Symbol.dispose](); // of a run that failed on its way
      throw error;
    }
  }

  async #execute(inputs: readonly PjrtBuffer[], made: Struct): Promise<void> {
    const [given, done, options] = [
      words(inputs.map(({ address }) => address)),
      zeros(1),
      zeros(EXECUTE_OPTIONS),
    ];
    options[0] = BigInt(options.byteLength);
    const [givenLists, madeLists] = [words([addressOf(given)]), words([addressOf(made)])];
    const fields = [this.executable, options, givenLists, 1, inputs.length, madeLists, done, 0];
    await this.api.callAsync("PJRT_LoadedExecutable_Execute", fields, [given, made]);
    await this.api.finish(done[0]);
  }

  /** The compiled program as bytes that {@link PjrtClient.load} takes. */
  serialize(): Uint8Array<ArrayBuffer> {
    const executable = this.api.call("PJRT_LoadedExecutable_GetExecutable", [this.executable, 0])[3];
    try {
      const struct = this.api.call("PJRT_Executable_Serialize", [executable, 0, 0, 0, 0]);
      const pointer = Deno.UnsafePointer.create(struct[3]);
      if (pointer === null) return new Uint8Array();
      const bytes = new Deno.UnsafePointerView(pointer).getArrayBuffer(Number(struct[4])).slice(0);
      freeWith(struct[6], struct[5]);
      return new Uint8Array(bytes);
    } finally {
      this.api.call("PJRT_Executable_Destroy", [executable]);
    }
  }

  /** A run that is on its way ends first. */
  [Symbol.dispose](): void {
    this.#resource[Symbol.dispose]();
  }
}
