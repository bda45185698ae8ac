import { join } from "node:path";
import { keyFileName, readMemberKeys } from "../../shared/key_files.ts";
import type { MemberKeys, MemberRole } from "../../shared/keys.ts";

/** The keys by which a node can speak to a run: a worker's, otherwise an admin's. Throws E_KEY. */
export async function memberKeysIn(folder: string): Promise<MemberKeys> {
  const isThere = (role: MemberRole) =>
    Deno.lstat(join(folder, keyFileName(role))).then(() => true, () => false);
  const isAdmins = !await isThere("worker") && await isThere("admin");
  return await readMemberKeys(folder, isAdmins ? "admin" : "worker");
}
