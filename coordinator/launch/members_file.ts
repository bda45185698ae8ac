import { z } from "zod";
import { writeFileAtomic } from "../../shared/files.ts";
import { isLockHeld } from "../../shared/process_lock.ts";

const recordSchema = z.strictObject({
  id: z.string(),
  pid: z.int().min(1),
  /** A file that it locks while it lives: another process may have its number later. */
  lock: z.string(),
});

const schema = z.strictObject({
  /** Where workers reach the coordinator. */
  endpoint: z.string(),
  /** Workers that this machine's coordinator has started. */
  local: z.array(recordSchema),
  /** The members of the last roster. */
  roster: z.array(z.string()),
});

/** A worker process of this machine. */
export type LocalRecord = z.infer<typeof recordSchema>;

/** Who belongs to a run, and where: what a coordinator that is started again must know of the one before. */
export type MembersFile = z.infer<typeof schema>;

/** Writes members.json, whole or not at all. */
export async function writeMembers(path: string, members: MembersFile): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(members, null, 2) + "\n");
}

/** Reads members.json; null where there is none, or none that can be read: then nobody is waited for. */
export async function readMembers(path: string): Promise<MembersFile | null> {
  try {
    return schema.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch {
    return null;
  }
}

/** Whether it still runs. */
export function isRunning({ lock }: LocalRecord): boolean {
  return isLockHeld(lock);
}
