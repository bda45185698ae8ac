import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import { type EvaluationRequest, parseEvaluationRequest } from "../shared/protocol/evaluation_request.ts";
import { openPrompts } from "../shared/data/prompts/open_prompts.ts";
import type { Prompts } from "../shared/data/prompts/prompts.ts";
import { decodeAll } from "../shared/data/tokenizers/decode.ts";
import { openTask } from "../shared/tasks/open_task.ts";
import type { Task, Totals } from "../shared/tasks/task.ts";
import type { Computing } from "./compute.ts";
import { USUAL } from "./text_request.ts";

/** The figures of one batch, and items to show to a person. */
export interface BatchResult {
  readonly result: Totals;
  readonly shown: string[];
}

/** Computes the batches of evaluations that are dealt to this member. */
export class Evaluation {
  readonly #tasks = new Map<string, Promise<Task>>();
  #prompts: Promise<Prompts> | undefined;

  constructor(private readonly config: RunConfig, private readonly computing: Computing) {}

  async run(request: unknown, batch: number): Promise<BatchResult> {
    const parsed = parseEvaluationRequest(request);
    if (parsed.kind === "task") return await this.#task(parsed, batch);
    if (parsed.kind === "sample") return { result: {}, shown: await this.#samples(parsed) };
    const split = batch < parsed.iters ? "train" : "val";
    const loss = await this.computing.estimate({ split, index: batch % parsed.iters });
    return { result: { loss }, shown: [] };
  }

  async #task(request: Extract<EvaluationRequest, { kind: "task" }>, batch: number): Promise<BatchResult> {
    const task = await this.#open(request);
    const asked = task.request(batch);
    const output = await this.computing.answer(asked);
    const shown: string[] = [];
    if (batch === 0 && task.show !== undefined && output instanceof Int32Array) {
      for (let row = 0; row < Math.min(request.show, asked.batchSize, task.itemCount); row++) {
        shown.push(task.show({ batch, row }, output));
      }
    }
    return { result: task.score(batch, output), shown };
  }

  /** Prompts and texts in turn; none where the text lacks what a prompt usually is. */
  async #samples(
    { samples, maxNewTokens }: Extract<EvaluationRequest, { kind: "sample" }>,
  ): Promise<string[]> {
    const { seed, block_size } = this.config;
    const prompts = await (this.#prompts ??= openPrompts(this.config));
    const texts = Array.from({ length: samples }, (_, sample) => prompts.choose({ seed, sample }));
    const ids = encodeUsual(prompts, texts);
    if (ids === null) return [];
    const encoded = ids.map((prompt) => prompt.slice(-block_size));
    const promptLength = Math.max(...encoded.map(({ length }) => length));
    const padded = new Int32Array(samples * promptLength);
    encoded.forEach((ids, row) => padded.set(ids, row * promptLength));
    const count = Math.min(maxNewTokens, prompts.usual.maxNewTokens);
    const output = await this.computing.answer({
      kind: "generate",
      batchSize: samples,
      promptLength,
      prompts: padded,
      lengths: Int32Array.from(encoded, ({ length }) => length),
      maxNewTokens: count,
      draw: {
        temperature: prompts.usual.temperature,
        topK: USUAL.topK,
        seed,
        vocabSize: prompts.vocabSize,
      },
    });
    return texts.flatMap((text, row) => {
      const answer = Int32Array.from(output.subarray(row * count, (row + 1) * count));
      return [text + prompts.arrow, decodeAll(prompts.decoder(), answer)];
    });
  }

  #open({ name, items, batchSize }: Extract<EvaluationRequest, { kind: "task" }>): Promise<Task> {
    const key = `${name} ${items} ${batchSize}`;
    const known = this.#tasks.get(key) ??
      openTask(name, { ...this.config, eval_items: items, batch_size: batchSize });
    this.#tasks.set(key, known);
    return known;
  }
}

/** Null where the text lacks them, as one of one line does a line end: nobody asked for just these prompts. */
function encodeUsual(prompts: Prompts, texts: readonly string[]): Int32Array[] | null {
  try {
    return texts.map((text) => prompts.encode(text));
  } catch (error) {
    if (error instanceof LockstepError && error.code === "E_TOKEN") return null;
    throw error;
  }
}
