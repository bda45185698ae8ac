import { join } from "node:path";
import { LockstepError } from "../errors.ts";
import { safeName } from "../files.ts";
import { sha256File } from "../hash.ts";
import { type CheckpointState, parseState } from "./state.ts";

/** The file of a checkpoint that describes the others. */
export const STATE_FILE = "state.json";

const MAX_STATE_BYTES = 1 << 20;

/**
 * Reads every byte of the checkpoint folder at `path` and returns its state.
 * Throws E_CHECKPOINT_CORRUPT, naming file and reason, unless sizes and SHA-256s are those of state.json.
 */
export async function verifyCheckpoint(path: string): Promise<CheckpointState> {
  const state = await attempt(path, { file: STATE_FILE, work: () => readState(join(path, STATE_FILE)) });
  for (const [file, expected] of Object.entries(state.files)) {
    await attempt(path, {
      file,
      work: () => verifyFile(join(path, safeName(file, "a checkpoint's file")), expected),
    });
  }
  return state;
}

async function readState(path: string): Promise<CheckpointState> {
  const { size } = await Deno.stat(path);
  if (size > MAX_STATE_BYTES) throw new Error(`it may have ${MAX_STATE_BYTES} bytes: it has ${size}`);
  return parseState(
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await Deno.readFile(path)),
  );
}

async function verifyFile(path: string, expected: { bytes: number; sha256: string }): Promise<void> {
  const { size } = await Deno.stat(path);
  if (size !== expected.bytes) throw new Error(`it must have ${expected.bytes} bytes: it has ${size}`);
  const sha256 = await sha256File(path);
  if (sha256 !== expected.sha256) throw new Error(`its SHA-256 must be ${expected.sha256}: it is ${sha256}`);
}

/** Whatever keeps a file from being read whole makes the checkpoint unusable: the caller falls back to another. */
async function attempt<T>(path: string, options: { file: string; work: () => Promise<T> }): Promise<T> {
  try {
    return await options.work();
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new LockstepError(
      "E_CHECKPOINT_CORRUPT",
      `Cannot use ${path} as its ${options.file} is damaged: ${why}`,
      {
        cause: error,
      },
    );
  }
}
