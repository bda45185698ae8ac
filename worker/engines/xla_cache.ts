import { cpus, hostname } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "../../shared/cache_folder.ts";
import { canonicalHash, sha256 } from "../../shared/hash.ts";
import type { PjrtClient, PjrtProgram } from "./pjrt.ts";
import type { CompilerOptions } from "./pjrt_options.ts";
import type { XlaDevice } from "./xla_plugin.ts";

/** A program that is to be compiled, and for what. */
export interface XlaSource {
  readonly client: PjrtClient;
  readonly device: XlaDevice;
  readonly options: CompilerOptions;
  /** The text of a StableHLO module. */
  readonly code: string;
}

const HASH_BYTES = 64;

/**
 * Compiles a program, or takes it from the cache folder, where it lies as machine code under the hash of its text, its
 * options, the plugin's version and the kind of its device; that of a CPU is for one machine.
 */
export async function compileXla({ client, device, options, code }: XlaSource): Promise<PjrtProgram> {
  const machine = device === "cpu" ? `${hostname()} ${cpus().at(0)?.model}` : client.deviceKind;
  const key = canonicalHash({ code: sha256(code), options, version: client.version, device, machine });
  const folder = cacheFolder("programs");
  const path = folder === undefined ? undefined : join(folder, `${key}.xla`);
  const stored = path === undefined ? undefined : await read(path);
  const known = stored === undefined ? undefined : await client.load(stored).catch(() => undefined);
  if (known !== undefined) return known;
  const program = await client.compile(code, options);
  if (path !== undefined) await write(path, program.serialize());
  return program;
}

/** The content behind its own hash; undefined where it is not there, or damaged. */
async function read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const file = await Deno.readFile(path);
    const content = file.subarray(HASH_BYTES);
    const hash = new TextDecoder().decode(file.subarray(0, HASH_BYTES));
    return sha256(content) === hash ? content : undefined;
  } catch {
    return undefined; // compiled again
  }
}

/** A cache that cannot be written is no error. */
async function write(path: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(join(path, ".."), { recursive: true });
    const hash = new TextEncoder().encode(sha256(content));
    await Deno.writeFile(temporary, Uint8Array.from([...hash, ...content]));
    await Deno.rename(temporary, path);
  } catch {
    await Deno.remove(temporary).catch(() => {});
  }
}
