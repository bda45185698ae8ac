import { join, normalize } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import { keyFileName, readCoordinatorKeys, readMemberKeys } from "../../shared/key_files.ts";
import { type Keys, type Role, ROLES } from "../../shared/keys.ts";
import { rendezvousOf } from "../launch/rendezvous.ts";
import { type Check, type DoctorContext, failure, type Finding, ok, warning } from "./check.ts";

/** Whether the keys of a run can be used: complete, for their owner alone, and made for each other. */
export function keysCheck(): Check {
  return { name: "keys", run: checkKeys };
}

const MAKE = "make some with lockstep keygen, and give each machine only the file that it needs";

async function checkKeys({ config }: DoctorContext): Promise<Finding> {
  if (config.insecure) {
    return warning(
      "--insecure: whoever reaches the port can read, change and end the run",
      `${MAKE} with --keys`,
    );
  }
  if (config.keys === null) {
    const { endpoint } = rendezvousOf(config); // E_KEY where it needs some
    return ok(
      endpoint === undefined ? "none needed: nothing leaves this machine" : "made by the run, in its folder",
    );
  }
  const found: Partial<Record<Role, Keys>> = {};
  for (const role of ROLES) {
    if (!await isThere(join(config.keys, keyFileName(role)))) continue;
    try {
      found[role] = role === "coordinator"
        ? await readCoordinatorKeys(config.keys)
        : await readMemberKeys(config.keys, role);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      return failure(error.message, fixFor(error.message, join(config.keys, keyFileName(role))));
    }
  }
  const roles = Object.keys(found);
  if (roles.length === 0 && isOwnFolder(config)) return ok(`made by the run, in ${config.keys}`);
  if (roles.length === 0) return failure(`${config.keys} holds no key`, MAKE);
  const stranger = strangerIn(found);
  if (stranger !== null) {
    return failure(`${config.keys}: ${stranger} is not of the same run as the coordinator's keys`, MAKE);
  }
  return ok(`${config.keys} has those for ${roles.join(", ")}, for their owner alone`);
}

/** Whether the run makes its keys where they are expected, for nodes that share the disk. */
function isOwnFolder({ keys, out_dir }: DoctorContext["config"]): boolean {
  return keys !== null && out_dir !== null && normalize(keys) === normalize(join(out_dir, "keys"));
}

function fixFor(problem: string, path: string): string {
  return problem.includes("chmod") ? `chmod 600 ${path}` : MAKE;
}

/** The role whose keys the coordinator's do not know; null if all know each other. */
function strangerIn({ coordinator, worker, admin }: Partial<Record<Role, Keys>>): string | null {
  if (coordinator?.role !== "coordinator") return null;
  const knows = (keys: Keys | undefined, admitted: readonly string[]) =>
    keys === undefined || keys.role === "coordinator" ||
    (keys.coordinator === coordinator.publicKey && admitted.includes(keys.publicKey));
  if (!knows(worker, coordinator.workers)) return "the worker's";
  return knows(admin, coordinator.admins) ? null : "the admin's";
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
