import { systemKeys } from "../../shared/config/keys/system.ts";
import { about, optional, text, truth, wholeNumber, wordOr } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { readModelConfig } from "../../shared/saved_model.ts";
import { chooseEngine } from "../../worker/engines/choose_engine.ts";
import { overrideEngine } from "../../worker/engines/decide_engine.ts";
import { generateText } from "../../worker/generate_text.ts";
import { loadCheckpoint } from "../../worker/load_checkpoint.ts";
import type { LoadedCheckpoint } from "../../worker/loaded_checkpoint.ts";
import { requestKinds, type TextRequest, textRequest, USUAL } from "../../worker/text_request.ts";
import { defineCommand } from "./command.ts";
import { openProgress } from "./progress.ts";
import { rerunFor } from "./engine_process.ts";

/** Stands after each sample, as in nanoGPT. */
const SEPARATOR = "---------------";

/** How many samples are made unless they would all be the same. */
const USUAL_SAMPLES = 10;

/** `sample RUN`: lets a trained model write; names and defaults are those of nanoGPT's sample.py. */
export const command = defineCommand({
  summary: "Let a trained model write, or sort",
  usage: "RUN [--start=TEXT|FILE:prompt.txt] [--key=value …]",
  options: {
    start: optional(text("a text, or FILE: and a path")).default(null).register(about, {
      help: "What to go on from; none is a line break, or held-out numbers for a model that sorts",
    }),
    num_samples: optional(wholeNumber(1)).default(null).register(about, {
      unit: "samples",
      help: `How many; none is ${USUAL_SAMPLES}, or 1 where all would be the same`,
    }),
    max_new_tokens: optional(requestKinds.maxNewTokens).default(null).register(about, {
      unit: "tokens",
      help: "Longest answer; none is 500, or as many numbers as are sorted",
    }),
    temperature: optional(requestKinds.temperature).default(null).register(about, {
      help:
        "Divides the logits, 0 always takes the likeliest token; none is 0.8, or 0 for a model that sorts",
    }),
    top_k: requestKinds.topK.default(USUAL.topK).register(about, {
      unit: "tokens",
      help: "Draws from the k likeliest only",
    }),
    top_p: requestKinds.topP.default(USUAL.topP).register(about, {
      help: "Draws from the fewest likeliest tokens whose probabilities reach this sum only",
    }),
    stop: requestKinds.stop.default(null).register(about, {
      help: "Ends a sample before this text",
    }),
    seed: requestKinds.seed.default(USUAL.seed).register(about, {
      help: "Decides what is drawn: the same seed, the same samples",
    }),
    checkpoint: optional(wordOr(["latest", "best"], wholeNumber(0))).default(null).register(about, {
      help: "The newest, the one with the lowest validation loss, or that of a step; none is the newest, " +
        "or the one that RUN names",
    }),
    engine: optional(systemKeys.engine.unwrap()).default(null).register(about, {
      help: "What computes; none is the run's own",
    }),
    device: optional(systemKeys.device.unwrap()).default(null).register(about, {
      help: "Where to compute; none is as in the run's configuration",
    }),
    data_dir: optional(text("a folder")).default(null).register(about, {
      help: "Folder of the prepared text, if it is not where it was in training",
    }),
    json: truth().default(false).register(about, {
      help: "Whether to print a line of JSON for each sample: prompt, text, tokens",
    }),
  },
  example: 'lockstep sample out/shakespeare-char --start="ROMEO:" --num_samples=3',
  async run({ options, words }) {
    const [path, ...more] = words;
    if (path === undefined || more.length > 0) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot sample as the folder of one run is required, such as out/sort-demo: given are ${words.length}`,
      );
    }
    using bar = openProgress();
    const { name, device } = await chooseEngine(overrideEngine(await readModelConfig(path, bar.update), {
      engine: options.engine ?? undefined,
      device: options.device ?? undefined,
    }));
    const status = await rerunFor(name);
    if (status !== null) return status;
    const start = options.start === null ? undefined : await readStart(options.start);
    await using checkpoint = await loadCheckpoint(path, {
      checkpoint: options.checkpoint ?? undefined,
      engine: name,
      device,
      dataDir: options.data_dir ?? undefined,
    });
    for (const warning of checkpoint.warnings) console.error(`warning ${warning}`);
    const prompts = await checkpoint.prompts();
    const requestOf = (sample: number) =>
      textRequest(prompts, {
        start,
        maxNewTokens: options.max_new_tokens ?? undefined,
        temperature: options.temperature ?? undefined,
        topK: options.top_k,
        topP: options.top_p,
        stop: options.stop,
        seed: options.seed,
        sample,
      });
    const show = options.json ? printJson : printText;
    const count = options.num_samples ?? (isSame(requestOf(0), requestOf(1)) ? 1 : USUAL_SAMPLES);
    try {
      for (let sample = 0; sample < count; sample++) await show(checkpoint, requestOf(sample));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // `| head` has seen enough
    }
    return 0;
  },
});

/** True if two samples must have the same text. */
function isSame(a: TextRequest, b: TextRequest): boolean {
  return a.temperature === 0 && a.prompt === b.prompt;
}

/** A prompt, or as in nanoGPT the content of the file behind `FILE:`. */
async function readStart(start: string): Promise<string> {
  if (!start.startsWith("FILE:")) return start;
  const path = start.slice("FILE:".length);
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "there is none" : String(cause);
    throw new LockstepError("E_USAGE", `Cannot read the prompt from the file ${path}: ${reason}`, { cause });
  }
}

/** Prints a sample while it is made. */
async function printText(checkpoint: LoadedCheckpoint, request: TextRequest): Promise<void> {
  const { arrow } = await checkpoint.prompts();
  let shown = false;
  for await (const { text } of generateText(checkpoint, request)) {
    // The prompt waits for the first token, so that one that cannot be read leaves nothing behind.
    if (!shown) write(request.prompt + arrow);
    shown = true;
    write(text);
  }
  write(`\n${SEPARATOR}\n`);
}

async function printJson(checkpoint: LoadedCheckpoint, request: TextRequest): Promise<void> {
  const pieces = await Array.fromAsync(generateText(checkpoint, request));
  const sample = {
    prompt: request.prompt,
    text: pieces.map(({ text }) => text).join(""),
    tokens: pieces.map(({ token }) => token),
  };
  write(`${JSON.stringify(sample)}\n`);
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}
