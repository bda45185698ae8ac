import { join } from "node:path";
import { readFlat, readHeader } from "../shared/checkpoint/safetensors.ts";
import type { CheckpointState } from "../shared/checkpoint/state.ts";
import type { CheckpointStore, FoundCheckpoint } from "../shared/checkpoint/store.ts";
import type { CheckpointFile } from "../shared/checkpoint/writer.ts";
import { LockstepError } from "../shared/errors.ts";
import type { Members } from "./members.ts";

/** A parameter's name and shape, in the order of the flat parameters. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A state that members start from: parameters and both moments, one after the other. */
export interface Snapshot {
  readonly step: number;
  readonly stateHash: string;
  readonly bestValLoss: number | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const MODEL = "model.safetensors";
const OPTIMIZER = "optimizer.safetensors";

/** Reads a checkpoint that verified into one snapshot. */
export async function readSnapshot({ path, state }: FoundCheckpoint): Promise<Snapshot> {
  const { tensors } = await readHeader(join(path, MODEL));
  const n = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const numbers = new Float32Array(3 * n);
  await readFlat(join(path, MODEL), [numbers.subarray(0, n)]);
  await readFlat(join(path, OPTIMIZER), [numbers.subarray(n, 2 * n), numbers.subarray(2 * n)]);
  return {
    step: state.step,
    stateHash: state.state_hash,
    bestValLoss: state.best_val_loss,
    bytes: new Uint8Array(numbers.buffer),
  };
}

/** What a checkpoint says of the run at its step. */
export type CheckpointFacts = Pick<
  CheckpointState,
  "state_hash" | "config_hash" | "val_loss" | "best_val_loss"
>;

export interface SaveOptions {
  readonly at: { epoch: number; generation: number; step: number };
  readonly parameters: readonly ParameterShape[];
  readonly facts: CheckpointFacts;
  readonly best: boolean;
}

/** Has rank 0 send its state, and publishes it as the checkpoint of a step. All members stand still meanwhile. */
export async function saveCheckpoint(
  store: CheckpointStore,
  members: Members,
  { at, parameters, facts, best }: SaveOptions,
): Promise<string> {
  await using writer = await store.begin(at.step);
  const float = (name: string, shape: readonly number[]) => ({ name, dtype: "F32" as const, shape });
  const moments = ["exp_avg", "exp_avg_sq"].flatMap((moment) =>
    parameters.map(({ name, shape }) => float(`${moment}.${name}`, shape))
  );
  const files = new Map([
    [MODEL, await writer.file(MODEL, parameters.map(({ name, shape }) => float(name, shape)))],
    [OPTIMIZER, await writer.file(OPTIMIZER, moments)],
  ]);
  await members.send(members.ids[0], { type: "CKPT_BEGIN", ...at });
  await receiveParts(members, { step: at.step, files });
  const { path } = await writer.publish({ state: { ...facts, data_position: { step: at.step } }, best });
  return path;
}

/** Writes the parts that a member sends. After a failure the rest is still received, so that the run can go on. */
async function receiveParts(
  members: Members,
  { step, files }: { step: number; files: ReadonlyMap<string, CheckpointFile> },
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (;;) {
    const { message } = await members.next();
    if (message.type === "CKPT_DONE") break;
    const file = message.type === "CKPT_PART" ? files.get(message.file) : undefined;
    if (message.type !== "CKPT_PART" || file === undefined) {
      throw new LockstepError(
        "E_DECODE",
        `Cannot save step ${step}: ${message.type} came where its parts are due`,
      );
    }
    if (failure !== undefined) continue;
    try {
      await file.write(message.bytes);
    } catch (error) {
      failure = { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}
