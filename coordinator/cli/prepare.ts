import { dataKeys } from "../../shared/config/keys/data.ts";
import { about, truth } from "../../shared/config/kinds.ts";
import { type Prepared, type PrepareProgress, prepareText } from "../../shared/data/prepare.ts";
import { LockstepError } from "../../shared/errors.ts";
import { defineCommand } from "./command.ts";

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
    const prepared = await prepareText({ ...options, data }, progressLine());
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

/** On a terminal, one line of standard error that tells how far it is; elsewhere nothing. */
function progressLine(): (progress: PrepareProgress) => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  let shown = "";
  return ({ phase, doneBytes, totalBytes }) => {
    const line = `\r${phase} ${Math.floor(100 * doneBytes / totalBytes)} %\x1b[K${
      doneBytes >= totalBytes ? "\r\x1b[K" : ""
    }`;
    if (line === shown) return;
    shown = line;
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  };
}
