import { LockstepError } from "../errors.ts";

/** Told of the bytes that have come, and of all that are to come; null where the server does not say. */
export type OnBytes = (done: number, total: number | null) => void;

/** Fetches a URL into a temporary file and resolves to its path. Throws E_DATA if that fails, and leaves no file. */
export async function download(url: string, onBytes: OnBytes = () => {}): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "lockstep-" });
  try {
    const response = await fetch(url);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trimEnd());
    }
    const file = await Deno.open(path, { write: true });
    const total = lengthOf(response);
    let done = 0;
    const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, controller) {
        onBytes(done += piece.length, total);
        controller.enqueue(piece);
      },
    });
    await response.body.pipeThrough(counted).pipeTo(file.writable); // closes the file, whatever happens
    onBytes(done, done);
    return path;
  } catch (error) {
    await Deno.remove(path);
    const reason = error instanceof Error ? error.message : String(error);
    throw new LockstepError("E_DATA", `Cannot fetch ${url}: ${reason}`, { cause: error });
  }
}

/** Bytes of the body; null where they are not known, as of one that is compressed on the way. */
function lengthOf({ headers }: Response): number | null {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? null : Number(length);
}
