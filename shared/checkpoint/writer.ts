import { createHash } from "node:crypto";
import { join } from "node:path";
import { LockstepError } from "../errors.ts";
import { createFile, type Disk, type DiskFile, fileError, safeName, writeAll } from "../files.ts";
import { sha256, sha256File } from "../hash.ts";
import { encodeHeader, tensorBytes, type TensorSpec } from "./safetensors_header.ts";
import { type CheckpointState, encodeState, type StateToPublish } from "./state.ts";
import { STATE_FILE } from "./verify.ts";

/** Hashed at one go, about 1 ms: a longer piece would keep the process from its messages. */
const HASH_BYTES = 1 << 20;

/** How a checkpoint ended up: `adopted` if the step was already there with the same state, and that one was kept. */
export interface PublishedCheckpoint {
  path: string;
  adopted: boolean;
}

/** What a {@link CheckpointWriter} needs of its store. */
export interface WriterOptions {
  step: number;
  /** The temporary folder, which exists and is empty. */
  path: string;
  disk: Disk;
  /** Moves the finished folder to its place. */
  place: (state: CheckpointState, options: { best: boolean }) => Promise<PublishedCheckpoint>;
}

/**
 * One checkpoint being written, into a temporary folder that nobody loads. A failure of any call abandons it: the folder is
 * removed, the checkpoints before stay as they are, and the error is E_NO_SPACE or E_OUT_DIR where the disk is the reason.
 * `await using` abandons what was not published.
 */
export class CheckpointWriter implements AsyncDisposable {
  readonly #options: WriterOptions;
  readonly #files = new Map<string, CheckpointFile>();
  #ended = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /**
   * Starts a safetensors file; the bytes of its tensors are then written in the order given. Several files may be open at
   * once. `name` is a plain file name.
   */
  async file(
    name: string,
    tensors: readonly TensorSpec[],
    options: { metadata?: Record<string, string> } = {},
  ): Promise<CheckpointFile> {
    return await this.#guard(`write ${name}`, async () => {
      const path = join(this.#options.path, safeName(name, "a checkpoint's file"));
      const header = encodeHeader(tensors, options.metadata);
      const file = new CheckpointFile({
        path,
        on: await this.#options.disk.create(path),
        totalBytes: tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), header.byteLength),
        guard: (action, work) => this.#guard(action, work),
      });
      this.#files.set(name, file);
      await file.write(header);
      return file;
    });
  }

  /**
   * Makes the files durable, reads them back against their hashes, adds state.json and gives the folder its name, then
   * LATEST, and BEST where `best`. From the moment it has its name, it is what "latest" loads.
   */
  async publish(options: { state: StateToPublish; best: boolean }): Promise<PublishedCheckpoint> {
    const { step, path, disk, place } = this.#options;
    return await this.#guard(`publish the checkpoint of step ${step}`, async () => {
      const files: CheckpointState["files"] = {};
      for (const [name, file] of this.#files) files[name] = await file.finish();
      const state: CheckpointState = { format: 1, step, ...options.state, files };
      const text = new TextEncoder().encode(encodeState(state));
      await createFile(join(path, STATE_FILE), (file) => writeAll(file, text), { disk });
      await readBack(join(path, STATE_FILE), sha256(text));
      await disk.syncDir(path);
      const published = await place(state, { best: options.best });
      this.#ended = true;
      return published;
    });
  }

  /** Removes what was written. After publish() or a failure it does nothing. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    for (const file of this.#files.values()) file.close();
    await this.#options.disk.remove(this.#options.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abandon();
  }

  async #guard<T>(action: string, work: () => Promise<T>): Promise<T> {
    if (this.#ended) throw new Error(`Cannot ${action} as this checkpoint was published or abandoned`);
    try {
      return await work();
    } catch (error) {
      await this.abandon().catch(() => {}); // the first error is the one to tell; sweep() removes what is left
      throw fileError(error, `${action} in ${this.#options.path}`);
    }
  }
}

/** One file of a checkpoint being written. */
export class CheckpointFile {
  readonly #path: string;
  readonly #on: DiskFile;
  readonly #totalBytes: number;
  readonly #guard: <T>(action: string, work: () => Promise<T>) => Promise<T>;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #open = true;

  /** For {@link CheckpointWriter.file}. */
  constructor(
    options: {
      path: string;
      on: DiskFile;
      totalBytes: number;
      guard: <T>(action: string, work: () => Promise<T>) => Promise<T>;
    },
  ) {
    this.#path = options.path;
    this.#on = options.on;
    this.#totalBytes = options.totalBytes;
    this.#guard = options.guard;
  }

  /**
   * Appends `bytes`, cut as the caller likes, whatever tensors they belong to. They must not change, nor the next write
   * begin, before this resolves.
   */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#guard(`write ${this.#path}`, async () => {
      this.#bytes += bytes.byteLength;
      if (this.#bytes > this.#totalBytes) throw this.#sizeError();
      for (let at = 0; at < bytes.byteLength; at += HASH_BYTES) {
        const piece = bytes.subarray(at, at + HASH_BYTES);
        this.#hash.update(piece);
        await writeAll(this.#on, piece);
      }
    });
  }

  /** Makes the file durable and reads it back. Called by {@link CheckpointWriter.publish}. */
  async finish(): Promise<{ bytes: number; sha256: string }> {
    if (this.#bytes !== this.#totalBytes) throw this.#sizeError();
    await this.#on.sync();
    this.close();
    const sha256 = this.#hash.digest("hex");
    await readBack(this.#path, sha256);
    return { bytes: this.#bytes, sha256 };
  }

  /** Closes the file, finished or not. */
  close(): void {
    if (this.#open) this.#on.close();
    this.#open = false;
  }

  #sizeError(): RangeError {
    return new RangeError(
      `Cannot write ${this.#path} as its tensors need ${this.#totalBytes} bytes with the header: given are ${this.#bytes}`,
    );
  }
}

async function readBack(path: string, expected: string): Promise<void> {
  const found = await sha256File(path);
  if (found === expected) return;
  throw new LockstepError(
    "E_CHECKPOINT_CORRUPT",
    `Cannot publish ${path} as it reads back other than it was written: its SHA-256 must be ${expected}, it is ${found}; ` +
      `check the disk`,
  );
}
