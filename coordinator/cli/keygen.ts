import { about, text } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { writeKeyFiles } from "../../shared/key_files.ts";
import { makeRunKeys } from "../../shared/keys.ts";
import { defineCommand } from "./command.ts";

/** `keygen`: makes the keys with which machines meet. */
export const command = defineCommand({
  summary: "Make the keys with which a coordinator, its workers and its admins meet over a network",
  usage: "[--out=FOLDER]",
  options: {
    out: text("a folder").default("keys").register(about, {
      help: "Where coordinator.key, worker.key and admin.key are written, for their owner alone",
    }),
  },
  example: "lockstep keygen --out=keys",
  async run({ options: { out }, words }) {
    if (words.length > 0) {
      throw new LockstepError("E_USAGE", `Cannot make keys of ${words.join(" ")}: use --out=FOLDER`);
    }
    const paths = await writeKeyFiles(out, makeRunKeys());
    console.log(`keys: ${paths.join(", ")}; each holds a secret, so give a machine only the one it needs`);
    return 0;
  },
});
