import { join } from "node:path";
import { LockstepError } from "../shared/errors.ts";
import { fileError } from "../shared/files.ts";
import { sha256 } from "../shared/hash.ts";
import type { LedgerFile } from "./ledger.ts";
import { type Chain, chained, EMPTY_CHAIN, follow, openingOf } from "./ledger_chain.ts";

/** What the ledgers of a run say together. */
export interface ReadLedger extends Chain {
  /** The last epoch that has lines, and how many of its bytes are valid; null for none. */
  readonly end: { readonly epoch: number; readonly bytes: number } | null;
  /** What of the files is not valid, a sentence each. */
  readonly problems: readonly string[];
}

const LEDGER = /^ledger-(\d{1,9})\.jsonl$/;

/** Reads and verifies the ledgers in a run's directory: each epoch's as far as the one after it adopts it. */
export async function readLedger(dir: string): Promise<ReadLedger> {
  const problems: string[] = [];
  let chain: Chain = EMPTY_CHAIN;
  let end: ReadLedger["end"] = null;
  for (const { epoch, text } of await adoptedParts(dir)) {
    const part = follow(text, chain);
    if (part.problem !== null) problems.push(`ledger-${epoch}.jsonl: ${part.problem}`);
    if (part.bytes === 0) break;
    chain = part;
    end = { epoch, bytes: part.bytes };
  }
  return { ...chain, end, problems };
}

/** The text of each epoch that counts, from the first on. What an epoch wrote after it was taken over is left out. */
async function adoptedParts(dir: string): Promise<{ epoch: number; text: string }[]> {
  const epochs = [...Deno.readDirSync(dir)].flatMap(({ name }) => {
    const [, epoch] = LEDGER.exec(name) ?? [];
    return epoch === undefined ? [] : [Number(epoch)];
  });
  const parts: { epoch: number; text: string }[] = [];
  let wanted: { epoch: number; bytes: number } | null = null;
  for (const epoch of epochs.sort((a, b) => b - a)) {
    if (wanted !== null && epoch !== wanted.epoch) continue;
    const bytes: Uint8Array = await Deno.readFile(pathOf(dir, epoch));
    const text = new TextDecoder().decode(bytes.subarray(0, wanted?.bytes));
    const opening = openingOf(text);
    if (opening === null) continue; // it ended before its first line was whole
    parts.unshift({ epoch, text });
    if (opening.adopts === null) break;
    wanted = opening.adopts;
  }
  return parts;
}

/** An epoch's own ledger, and the chain to go on with. */
export interface OpenedLedger {
  readonly chain: Chain;
  readonly file: LedgerFile & Disposable;
}

/** Starts the ledger of an epoch, whose first line adopts what is valid of those before. Throws E_NO_SPACE or E_OUT_DIR. */
export function openLedger(
  dir: string,
  { epoch, before }: { epoch: number; before: ReadLedger },
): OpenedLedger {
  const text = chained({ epoch, adopts: before.end }, before.last);
  const file = new AppendedFile(pathOf(dir, epoch));
  file.append(text + "\n");
  return { chain: { ...before, last: sha256(text) }, file };
}

function pathOf(dir: string, epoch: number): string {
  return join(dir, `ledger-${epoch}.jsonl`);
}

/** How long lines may lie in the page cache, in ms. */
const SYNC_MS = 1_000;

class AppendedFile implements LedgerFile, Disposable {
  readonly #file: Deno.FsFile;
  #length = 0;
  #syncing: Promise<void> = Promise.resolve();
  #dirty = false;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(private readonly path: string) {
    try {
      this.#file = Deno.openSync(path, { write: true, createNew: true });
    } catch (error) {
      throw fileError(error, `make ${path}`);
    }
    this.#timer = setInterval(() => {
      if (this.#dirty) this.sync().catch(() => {}); // the next append tells what is wrong with the disk
    }, SYNC_MS);
  }

  append(line: string): void {
    const bytes = new TextEncoder().encode(line);
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
      this.#length += bytes.length;
      this.#dirty = true;
    } catch (error) {
      this.#cut();
      throw fileError(error, `write ${this.path}`);
    }
  }

  /** Takes back what was written of a line. */
  #cut(): void {
    try {
      this.#file.truncateSync(this.#length);
      this.#file.seekSync(this.#length, Deno.SeekMode.Start);
    } catch (cause) {
      throw new LockstepError("E_OUT_DIR", `Cannot repair ${this.path} after a line was written in part`, {
        cause,
      });
    }
  }

  sync(): Promise<void> {
    this.#dirty = false;
    return this.#syncing = this.#syncing.catch(() => {}).then(() => this.#file.syncData());
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#file.close();
  }
}
