import { basename, dirname, join, resolve } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import { fileError } from "../../shared/files.ts";
import { type ExportSource, openExportSource, type SourceOptions } from "./export_source.ts";
import { exportHf } from "./hf.ts";
import { exportNanogpt } from "./nanogpt.ts";
import { exportOnnx } from "./onnx.ts";
import { exportTfjs } from "./tfjs.ts";
import { exportWeb } from "./web.ts";

/** The formats that models are written in. */
export const FORMATS = ["hf", "nanogpt", "onnx", "tfjs", "web"] as const;

export type Format = typeof FORMATS[number];

/** How a model is written. */
export interface ExportOptions extends SourceOptions {
  readonly format: Format;
  /** New or empty folder. Default: `export/FORMAT` in the run's. */
  readonly out?: string | null;
}

/** What was written. */
export interface Exported {
  readonly folder: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** What to do with it, one line. */
  readonly hint: string;
  readonly warnings: readonly string[];
}

interface Writer {
  write(source: ExportSource, folder: string): Promise<void>;
  hint(folder: string): string;
}

const WRITERS: Readonly<Record<Format, Writer>> = {
  hf: {
    write: exportHf,
    hint: (folder) =>
      `transformers loads it with AutoModelForCausalLM.from_pretrained(${JSON.stringify(folder)})`,
  },
  nanogpt: {
    write: exportNanogpt,
    hint: (folder) => `docs/to_nanogpt.py ${folder} makes nanoGPT's ckpt.pt of it`,
  },
  onnx: {
    write: exportOnnx,
    hint: (folder) =>
      `python ${join(folder, "generate.py")} and node ${join(folder, "generate.mjs")} go on from a prompt`,
  },
  tfjs: {
    write: exportTfjs,
    hint: (folder) => `tf.loadGraphModel("…/model.json") loads it from where ${folder} is served`,
  },
  web: {
    write: exportWeb,
    hint: (folder) => `any static host serves it: python3 -m http.server -d ${folder}`,
  },
};

/**
 * Writes the model that `path` means (see `openSavedModel`) in another program's format: all files or, where that fails, none.
 * Throws E_MODEL, naming the variant, for a model that the format cannot hold, E_OUT_DIR where `out` holds something.
 */
export async function exportModel(path: string, options: ExportOptions): Promise<Exported> {
  const { format } = options;
  const folder = options.out ?? join(path, "export", format);
  await refuseFull(folder);
  const source = await openExportSource(path, options);
  const whole = resolve(folder);
  const partial = join(dirname(whole), `.${basename(whole)}-${crypto.randomUUID()}`);
  try {
    await Deno.mkdir(partial, { recursive: true });
    await WRITERS[format].write(source, partial);
    await Deno.rename(partial, whole);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {}); // the first error is the one to tell
    throw fileError(error, `write ${folder}`);
  }
  return {
    folder,
    files: await listFiles(folder),
    hint: WRITERS[format].hint(folder),
    warnings: source.warnings,
  };
}

async function refuseFull(folder: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new LockstepError(
    "E_OUT_DIR",
    `Cannot export to ${folder} as it must be new or empty: it holds ${names[0]}, choose another --out`,
  );
}

async function listFiles(folder: string): Promise<{ name: string; bytes: number }[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => join(folder, name));
  return await Promise.all(names.sort().map(async (name) => ({ name, bytes: (await Deno.stat(name)).size })));
}
