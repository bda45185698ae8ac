import { dataKeys } from "../../shared/config/keys/data.ts";
import { systemKeys } from "../../shared/config/keys/system.ts";
import { about, truth } from "../../shared/config/kinds.ts";
import { type Prepared, prepareText } from "../../shared/data/prepare.ts";
import { LockstepError } from "../../shared/errors.ts";
import { defineCommand } from "./command.ts";
import { describePreparation } from "./prepare_progress.ts";
import { openProgress } from "./progress.ts";

/** `prepare`: turns a text into nanoGPT's train.bin and val.bin with a meta.json. */
export const command = defineCommand({
  summary: "Turn a text into train.bin, val.bin and meta.json",
  usage: "[PATH|FOLDER|URL] [--tokenizer=char|byte|gpt2] [--data_dir=FOLDER]",
  options: {
    data: dataKeys.data,
    data_dir: dataKeys.data_dir,
    tokenizer: dataKeys.tokenizer,
    text_field: dataKeys.text_field,
    force: truth().default(false).register(about, {
      help: "Whether to prepare again what is prepared already, and fetch a URL again",
    }),
    quiet: systemKeys.quiet,
  },
  example: "lockstep prepare input.txt --tokenizer=gpt2 --data_dir=data/input",
  async run({ options, words }) {
    const [data = options.data, ...more] = words;
    if (more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot prepare several texts at once: put ${words.join(", ")} in one folder`,
      );
    }
    using bar = openProgress(options);
    const prepared = await prepareText({ ...options, data }, (at) => bar.update(describePreparation(at)));
    console.log(describe(prepared));
    return 0;
  },
});

function describe({ dataDir, meta, upToDate }: Prepared): string {
  const { train, val, tokenizer, vocab_size } = meta;
  const count = (tokens: number) => tokens.toLocaleString("en-US");
  return `${upToDate ? "nothing to do" : "prepared"}: ${dataDir} holds ${
    count(train.tokens)
  } tokens for training ` +
    `and ${count(val.tokens)} for validation, tokenizer ${tokenizer}, vocabulary ${count(vocab_size)}`;
}
