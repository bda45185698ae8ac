import { LockstepError } from "../errors.ts";

/** Fetches a URL into a temporary file and resolves to its path. Throws E_DATA if that fails, and leaves no file. */
export async function download(url: string): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "lockstep-" });
  try {
    const response = await fetch(url);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trimEnd());
    }
    const file = await Deno.open(path, { write: true });
    await response.body.pipeTo(file.writable); // closes the file, whatever happens
    return path;
  } catch (error) {
    await Deno.remove(path);
    const reason = error instanceof Error ? error.message : String(error);
    throw new LockstepError("E_DATA", `Cannot fetch ${url}: ${reason}`, { cause: error });
  }
}
