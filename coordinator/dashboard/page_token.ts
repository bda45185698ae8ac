import { timingSafeEqual } from "node:crypto";
import { LockstepError } from "../../shared/errors.ts";
import { fileError } from "../../shared/files.ts";
import { sha256 } from "../../shared/hash.ts";
import { readSecretFile } from "../../shared/key_files.ts";

const RANDOM_BYTES = 32;
/** A shorter token could be guessed. */
const LEAST_LENGTH = 24;
const TOKEN = /^[\w.~+/=-]+$/;

/** The secret that a page beyond this machine asks for. */
export class PageToken {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** What a browser shows instead of the token once it has been given it. */
  get session(): string {
    return sha256(`lockstep page ${this.#token}`);
  }

  isToken(given: string): boolean {
    return isSame(given, this.#token);
  }

  isSession(given: string): boolean {
    return isSame(given, this.session);
  }
}

/**
 * The token in the file at `path` (mode 0600), which is made with a random one where there is none. Throws E_KEY for a
 * file that others may use or that holds no token, E_OUT_DIR or E_NO_SPACE where none can be made.
 */
export async function openPageToken(path: string): Promise<PageToken> {
  await makeToken(path);
  const token = (await readSecretFile(path)).trim();
  if (token.length >= LEAST_LENGTH && TOKEN.test(token)) return new PageToken(token);
  throw new LockstepError(
    "E_KEY",
    `Cannot use the token in ${path} as at least ${LEAST_LENGTH} letters and digits in one word are required: remove the file, and one is made`,
  );
}

async function makeToken(path: string): Promise<void> {
  const token = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
  try {
    await Deno.writeTextFile(path, `${token}\n`, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw fileError(error, `write a token to ${path}`);
  }
}

/** Takes as long for one that is nearly right. */
function isSame(given: string, secret: string): boolean {
  const hash = (text: string) => new TextEncoder().encode(sha256(text));
  return timingSafeEqual(hash(given), hash(secret));
}
