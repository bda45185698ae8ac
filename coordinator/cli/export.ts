import { LockstepError } from "../../shared/errors.ts";
import { about, choice, optional, text, wholeNumber, wordOr } from "../../shared/config/kinds.ts";
import { exportModel, FORMATS } from "../../worker/export/export_model.ts";
import { defineCommand } from "./command.ts";

/** `export RUN`: a trained model in the format of another program. */
export const command = defineCommand({
  summary: "Write a trained model in the format of another program",
  usage: "RUN --format=FORMAT [--out=DIR]",
  options: {
    format: choice(FORMATS).default("hf").register(about, {
      help: "hf (transformers), nanogpt, onnx, tfjs, or web: a page that lets the model write",
    }),
    out: optional(text("a folder")).default(null).register(about, {
      help: "New folder for the files; none is RUN/export/FORMAT",
    }),
    checkpoint: optional(wordOr(["latest", "best"], wholeNumber(0))).default(null).register(about, {
      help: "The newest, the one with the lowest validation loss, or that of a step; none is the newest, " +
        "or the one that RUN names",
    }),
    data_dir: optional(text("a folder")).default(null).register(about, {
      help: "Folder of the prepared text, if it is not where it was in training",
    }),
  },
  example: "lockstep export out/shakespeare-char --format=web --out=page",
  async run({ options: { format, out, checkpoint, data_dir }, words }) {
    const [path, ...more] = words;
    if (path === undefined || more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot export as the folder of one run is required, such as out/sort-demo: given are ${words.length}`,
      );
    }
    const written = await exportModel(path, {
      format,
      out,
      checkpoint: checkpoint ?? undefined,
      dataDir: data_dir ?? undefined,
    });
    for (const warning of written.warnings) console.error(`warning ${warning}`);
    for (const { name, bytes } of written.files) console.log(`${name}  ${bytes} bytes`);
    console.log(written.hint);
    return 0;
  },
});
