import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { fileError } from "../../shared/files.ts";

const schema = z.strictObject({
  /** Where the run listens for consoles. */
  endpoint: z.string().regex(/^ipc:\/\/\S{1,255}$/),
  /** The process that leads the run, and its machine: the socket is reached from there only. */
  pid: z.int().min(1),
  host: z.string().max(256),
});

/** Where a run that goes on takes commands: attach.json in its directory. */
export type AttachFile = z.infer<typeof schema>;

const OWNER_ONLY = 0o600;

function pathIn(dir: string): string {
  return join(dir, "attach.json");
}

/** Writes attach.json (mode 0600); one that an earlier process left is replaced. Throws E_OUT_DIR, E_NO_SPACE. */
export async function writeAttachFile(dir: string, content: AttachFile): Promise<void> {
  const path = pathIn(dir);
  try {
    await Deno.remove(path).catch(() => {}); // none is there, mostly
    await Deno.writeTextFile(path, `${JSON.stringify(content)}\n`, { createNew: true, mode: OWNER_ONLY });
  } catch (error) {
    throw fileError(error, `write ${path}`);
  }
}

/** Removes attach.json where it is still this process's own. */
export async function removeAttachFile(dir: string, { endpoint }: AttachFile): Promise<void> {
  const now = await readAttachFile(dir).catch(() => null);
  if (now?.endpoint === endpoint) await Deno.remove(pathIn(dir)).catch(() => {});
}

/** Reads attach.json. Throws E_RUN where there is none or it cannot be read. */
export async function readAttachFile(dir: string): Promise<AttachFile> {
  try {
    return schema.parse(JSON.parse(await Deno.readTextFile(pathIn(dir))));
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound
      ? "no run that takes commands goes on there: it has not begun, is over, or has one process without --allow-ffi"
      : "its attach.json cannot be read";
    throw new LockstepError("E_RUN", `Cannot attach to ${dir} as ${reason}`, { cause });
  }
}

/** Whether a run says that it takes commands from this machine. */
export async function isAttachable(dir: string): Promise<boolean> {
  return (await readAttachFile(dir).catch(() => null))?.host === hostname();
}
