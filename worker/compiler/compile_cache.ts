import { join } from "node:path";
import { cacheFolder } from "../../shared/cache_folder.ts";
import { canonicalHash, sha256 } from "../../shared/hash.ts";
import { type DropoutSite, gradientOutput, parameterInput } from "../model/programs.ts";
import { compileGraph, type ProgramSpec } from "./compile.ts";
import { fixExecutionOrder } from "./execution_order.ts";
import { lowerOnnx } from "./lower_onnx.ts";
import { encodeOnnx } from "./onnx_file.ts";
import { viewParameters } from "./passes/view_parameters.ts";

/** A compiled program on disk or in memory. */
export interface OnnxProgram extends Facts {
  /** An ONNX file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Facts {
  /** The dropout masks that it takes. */
  readonly sites: readonly DropoutSite[];
  /** Names of all inputs and outputs: parameters and gradients may be cut into rows (passes/view_parameters.ts). */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Files whose content decides what a program compiles to. */
const SOURCES = [".", "./passes", "../model"];

let sources: Promise<string> | undefined;

/** SHA-256 over the compiler's and the model's own files. */
async function hashSources(): Promise<string> {
  const files: string[] = [];
  for (const folder of SOURCES) {
    const path = new URL(`${folder}/`, import.meta.url);
    for await (const entry of Deno.readDir(path)) {
      if (entry.isFile) files.push(await Deno.readTextFile(new URL(entry.name, path)));
    }
  }
  return sha256(files.sort().join("\0"));
}

/** Compiles a program to ONNX, or takes it from the cache: the key is the hash of all that decides the result. */
export async function compileOnnx(spec: ProgramSpec, threads: number): Promise<OnnxProgram> {
  const { kind, model, shape: { batchSize, length } } = spec;
  const options = { scatterAdd: threads === 1 };
  const compiler = await (sources ??= hashSources());
  const key = canonicalHash({
    compiler,
    kind,
    shape: { batchSize, length },
    options,
    config: { ...model.config },
    source: model.source,
  });
  const directory = cacheFolder("programs");
  const found = directory === undefined ? undefined : await read(join(directory, key));
  if (found !== undefined) return found;
  const { graph, sites } = await compileGraph(spec);
  const flat = model.parameters.flatMap(({ name }) => [parameterInput(name), gradientOutput(name)]);
  const viewed = viewParameters(graph, new Set(flat));
  const [inputs, outputs] = [viewed.inputs, viewed.outputs].map((list) => list.map(({ name }) => name));
  const bytes = encodeOnnx(fixExecutionOrder(lowerOnnx(viewed, options)));
  const program = { bytes, sites, inputs, outputs };
  if (directory !== undefined) await write(join(directory, key), program);
  return program;
}

async function read(path: string): Promise<OnnxProgram | undefined> {
  try {
    const { hash, ...facts }: Facts & { hash: string } = JSON.parse(await Deno.readTextFile(`${path}.json`));
    const program = { bytes: await Deno.readFile(`${path}.onnx`), ...facts };
    return hashOf(program) === hash ? program : undefined;
  } catch {
    return undefined; // not there, or damaged: compiled again
  }
}

/** The .json stands last, so that a half-written entry is never read. A cache that cannot be written is no error. */
async function write(path: string, program: OnnxProgram): Promise<void> {
  const { bytes, ...facts } = program;
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeFile(temporary, bytes);
    await Deno.rename(temporary, `${path}.onnx`);
    await Deno.writeTextFile(temporary, JSON.stringify({ ...facts, hash: hashOf(program) }));
    await Deno.rename(temporary, `${path}.json`);
  } catch {
    await Deno.remove(temporary).catch(() => {});
  }
}

function hashOf({ bytes, ...facts }: OnnxProgram): string {
  return canonicalHash({ bytes: sha256(bytes), ...facts });
}
