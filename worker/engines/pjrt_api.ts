import { commandLine } from "../../shared/command_line.ts";
import { LockstepError } from "../../shared/errors.ts";
import { keepLoaded } from "../../shared/keep_loaded.ts";
import { outOfMemory } from "./out_of_memory.ts";

/** Places in the table of functions `PJRT_Api` (pjrt_c_api.h), which begin after its header of 40 bytes. */
const INDEX = {
  PJRT_Error_Destroy: 0,
  PJRT_Error_Message: 1,
  PJRT_Error_GetCode: 2,
  PJRT_Plugin_Initialize: 3,
  PJRT_Event_Destroy: 5,
  PJRT_Event_Await: 8,
  PJRT_Client_Create: 10,
  PJRT_Client_PlatformName: 12,
  PJRT_Client_PlatformVersion: 14,
  PJRT_Client_AddressableDevices: 16,
  PJRT_Client_Compile: 20,
  PJRT_Client_BufferFromHostBuffer: 22,
  PJRT_DeviceDescription_Kind: 26,
  PJRT_Device_GetDescription: 29,
  PJRT_Executable_Destroy: 40,
  PJRT_Executable_Serialize: 49,
  PJRT_LoadedExecutable_Destroy: 50,
  PJRT_LoadedExecutable_GetExecutable: 51,
  PJRT_LoadedExecutable_Execute: 55,
  PJRT_Executable_DeserializeAndLoad: 56,
  PJRT_Buffer_Destroy: 58,
  PJRT_Buffer_ToHostBuffer: 70,
} as const;

const TABLE_OFFSET = 40;

/** The version of the API whose header the places above and the fields of structs were read from. */
const MAJOR = 0;
const MINIMUM_MINOR = 90;

/** Newer plugins may know more fields than are written here: these zeros stand for them. */
const SPARE_FIELDS = 4;

const RESOURCE_EXHAUSTED = 8; // PJRT_Error_Code

const BLOCKING = { parameters: ["buffer"], result: "pointer" } as const;
const VOID = { parameters: ["buffer"], result: "void" } as const;
const NONBLOCKING = { ...BLOCKING, nonblocking: true } as const;

/** The name of a function of the API. */
export type PjrtFunction = keyof typeof INDEX;

/** A field of a struct: a number, or memory by its address. */
export type Field = number | bigint | ArrayBufferView<ArrayBuffer>;

/** A struct as a function left it: fields 0 and 1 are its size and its extensions. */
export type Struct = BigUint64Array<ArrayBuffer>;

/**
 * The C API of a PJRT plugin, through FFI. Every function takes one struct of 8-byte fields; native objects are their
 * addresses.
 */
export class PjrtApi {
  /** `0.115` */
  readonly version: string;
  readonly #table: Deno.UnsafePointerView;
  /** What native code reads at the moment: kept from the garbage collector. */
  readonly #held = new Set<unknown>();

  /** Loads the plugin, once for a process. Throws E_ENGINE where that fails or its API is another one. */
  constructor(library: string) {
    this.#table = new Deno.UnsafePointerView(getTable(library));
    this.version = requireVersion(library, [this.#table.getInt32(32), this.#table.getInt32(36)]);
    this.call("PJRT_Plugin_Initialize", []);
  }

  /**
   * Calls a function in this thread. `fields` follow the header, and what the function returns stands among them.
   * `reads` names the memory whose addresses are written in other memory.
   */
  call(name: PjrtFunction, fields: readonly Field[], reads?: readonly unknown[]): Struct {
    const held = [fields, reads];
    this.#held.add(held);
    try {
      const struct = structOf(fields);
      this.#check(callable(this.#entry(name), BLOCKING).call(new Uint8Array(struct.buffer)));
      return struct;
    } finally {
      this.#held.delete(held);
    }
  }

  /** Like {@link call} in another thread; this one goes on, and must leave that memory as it is until then. */
  async callAsync(name: PjrtFunction, fields: readonly Field[], reads?: readonly unknown[]): Promise<Struct> {
    const struct = structOf(fields);
    const held = [struct, fields, reads];
    this.#held.add(held);
    try {
      this.#check(await callable(this.#entry(name), NONBLOCKING).call(new Uint8Array(struct.buffer)));
      return struct;
    } finally {
      this.#held.delete(held);
    }
  }

  /** Waits for an event, and destroys it. 0 is none. */
  async finish(event: bigint): Promise<void> {
    if (event === 0n) return;
    try {
      await this.callAsync("PJRT_Event_Await", [event]);
    } finally {
      this.call("PJRT_Event_Destroy", [event]);
    }
  }

  /** The two functions that cannot fail, and return nothing. */
  #callVoid(name: "PJRT_Error_Message" | "PJRT_Error_Destroy", fields: readonly Field[]): Struct {
    const struct = structOf(fields);
    callable(this.#entry(name), VOID).call(new Uint8Array(struct.buffer));
    return struct;
  }

  #entry(name: PjrtFunction): Deno.PointerValue {
    return this.#table.getPointer(TABLE_OFFSET + 8 * INDEX[name]);
  }

  /** Throws what an error says: E_MEMORY where memory is short, otherwise E_ENGINE. */
  #check(pointer: Deno.PointerValue): void {
    if (pointer === null) return;
    const error = Deno.UnsafePointer.value(pointer);
    const message = this.#callVoid("PJRT_Error_Message", [error, 0, 0]);
    const said = textAt(message[3], message[4]).trim().split("\n")[0].replace(/\.$/, "");
    const code = this.call("PJRT_Error_GetCode", [error, 0])[3];
    this.#callVoid("PJRT_Error_Destroy", [error]);
    if (Number(code & 0xffffffffn) === RESOURCE_EXHAUSTED) throw outOfMemory("xla", { said });
    throw new LockstepError("E_ENGINE", `The engine xla failed: ${said}`);
  }
}

/** The version of a plugin's API as text. Throws E_ENGINE for one that is too old, or of another major version. */
export function requireVersion(library: string, [major, minor]: readonly [number, number]): string {
  const version = `${major}.${minor}`;
  if (major === MAJOR && minor >= MINIMUM_MINOR) return version;
  throw new LockstepError(
    "E_ENGINE",
    `Cannot use the engine xla with the plugin ${library}: the PJRT API ${MAJOR}.${MINIMUM_MINOR} or a later ${MAJOR}.x ` +
      `is required and it has ${version}; run ${commandLine("setup-xla")}`,
  );
}

/** The table of a plugin's functions. */
function getTable(library: string): Deno.PointerObject {
  try {
    keepLoaded(library);
    const { symbols } = Deno.dlopen(library, { GetPjrtApi: { parameters: [], result: "pointer" } });
    const table = symbols.GetPjrtApi();
    if (table === null) throw new Error("it offers no PJRT API");
    return table;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new LockstepError("E_ENGINE", `Cannot load XLA's plugin ${library}: ${reason}`, { cause });
  }
}

/** A header, the fields, and the spare ones. */
function structOf(fields: readonly Field[]): Struct {
  const struct = zeros(2 + fields.length + SPARE_FIELDS);
  struct[0] = BigInt(struct.byteLength);
  fields.forEach((field, i) => struct[2 + i] = typeof field === "object" ? addressOf(field) : BigInt(field));
  return struct;
}

/** So many zero words. */
export function zeros(count: number): Struct {
  return new BigUint64Array(count);
}

/** These words. */
export function words(values: readonly (number | bigint)[]): Struct {
  return BigUint64Array.from(values, BigInt);
}

/** Where memory lies, and stays; 0 for none. */
export function addressOf({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): bigint {
  if (byteLength === 0) return 0n;
  // Asking for `buffer` moves a small array out of the heap that the garbage collector rearranges.
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer, byteOffset, byteLength)));
}

/** Calls the native function at the address `deleter` with what it is to free. */
export function freeWith(deleter: bigint, object: bigint): void {
  const type = { parameters: ["pointer"], result: "void" } as const;
  callable(Deno.UnsafePointer.create(deleter), type).call(Deno.UnsafePointer.create(object));
}

/** The text of `size` bytes at an address. */
export function textAt(address: bigint, size: bigint): string {
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null) return "";
  return new TextDecoder().decode(new Deno.UnsafePointerView(pointer).getArrayBuffer(Number(size)).slice(0));
}

function callable<const F extends Deno.ForeignFunction>(
  pointer: Deno.PointerValue,
  type: F,
): Deno.UnsafeFnPointer<F> {
  if (pointer === null) throw new LockstepError("E_ENGINE", "XLA's plugin lacks a function of the PJRT API");
  return new Deno.UnsafeFnPointer(pointer as Deno.PointerObject<F>, type);
}
