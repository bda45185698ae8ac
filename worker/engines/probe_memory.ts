import { dirname } from "node:path";
import { z } from "zod";
import { cacheFolder } from "../../shared/cache_folder.ts";
import { canonicalHash } from "../../shared/hash.ts";
import type { Candidate, Trial } from "./decide_engine.ts";
import { ENGINE_PACKAGES } from "./engine_packages.ts";
import type { Machine } from "./machine.ts";

const trialSchema = z.discriminatedUnion("works", [
  z.strictObject({
    works: z.literal(true),
    hardware: z.string().nullable(),
    software: z.string().nullable(),
  }),
  z.strictObject({ works: z.literal(false), why: z.string() }),
]);

const fileSchema = z.record(z.string(), z.strictObject({ at: z.number(), trial: trialSchema }));

/** A failure may have a cause that passes: it is tried again after this, in ms. */
const FAILURE_MS = 24 * 3600 * 1000;

/** What is remembered of trials, in the cache folder. */
export class ProbeMemory {
  constructor(private readonly path = cacheFolder("probes.json")) {}

  /** What came of trying it, unless that is forgotten or was long ago. `now` in ms since 1970. */
  async recall(key: string, now = Date.now()): Promise<Trial | undefined> {
    const found = (await this.#read())[key];
    if (found === undefined) return undefined;
    return found.trial.works || now - found.at < FAILURE_MS ? found.trial : undefined;
  }

  /** A memory that cannot be written is no error: it is tried again next time. */
  async remember(key: string, trial: Trial, now = Date.now()): Promise<void> {
    if (this.path === undefined) return;
    const temporary = `${this.path}.${crypto.randomUUID()}`;
    try {
      const all = { ...await this.#read(), [key]: { at: now, trial } };
      await Deno.mkdir(dirname(this.path), { recursive: true });
      await Deno.writeTextFile(temporary, JSON.stringify(all));
      await Deno.rename(temporary, this.path);
    } catch {
      await Deno.remove(temporary).catch(() => {});
    }
  }

  async #read(): Promise<z.output<typeof fileSchema>> {
    if (this.path === undefined) return {};
    try {
      return fileSchema.parse(JSON.parse(await Deno.readTextFile(this.path)));
    } catch {
      return {}; // not there, or damaged
    }
  }
}

/** Names a trial by all that decides what comes of it: driver or adapter, and the versions of what is loaded. */
export async function probeKey(
  { engine, device }: Candidate,
  { machine, adapter }: { machine: Machine; adapter: string | null },
): Promise<string> {
  return canonicalHash({
    engine,
    device,
    adapter,
    driver: machine.nvidiaDriver,
    gpus: machine.nvidiaGpus,
    libraries: Deno.env.get("LD_LIBRARY_PATH") ?? null,
    deno: Deno.version.deno,
    package: ENGINE_PACKAGES[engine] ?? null,
    setUp: await setUp(),
  });
}

/** What the set-up tasks have put into the cache folder, each with its version: `tensorflow-2.21.0`. */
async function setUp(): Promise<string[]> {
  const folder = cacheFolder();
  if (folder === undefined) return [];
  try {
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    return names.filter((name) => /-\d/.test(name)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
