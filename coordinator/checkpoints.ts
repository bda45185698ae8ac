import { join } from "node:path";
import { readFlat, readHeader } from "../shared/checkpoint/safetensors.ts";
import type { TensorSpec } from "../shared/checkpoint/safetensors_header.ts";
import type { CheckpointState, StateToPublish } from "../shared/checkpoint/state.ts";
import type { FoundCheckpoint } from "../shared/checkpoint/store.ts";
import { PIECE_BYTES } from "../shared/protocol/snapshot_pieces.ts";
import type { Group } from "./group.ts";
import type { Snapshot } from "./snapshot.ts";
import { readState } from "./state_reading.ts";

/** A parameter's name and shape, in the order of the flat parameters. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
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
  const bytes = new Uint8Array(numbers.buffer);
  return {
    step: state.step,
    stateHash: state.state_hash,
    bestValLoss: state.best_val_loss,
    piece: (index) => bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  };
}

/** What a checkpoint says of the run at its step. */
export type CheckpointFacts = Pick<
  CheckpointState,
  "state_hash" | "config_hash" | "val_loss" | "best_val_loss"
>;

export interface SaveOptions {
  readonly parameters: readonly ParameterShape[];
  readonly facts: CheckpointFacts;
  readonly best: boolean;
}

/** Where checkpoints go: a CheckpointStore. */
export interface StateStore {
  begin(step: number): Promise<StateWriter>;
}

/** A checkpoint that is written. */
export interface StateWriter extends AsyncDisposable {
  file(
    name: string,
    tensors: readonly TensorSpec[],
  ): Promise<{ write(bytes: Uint8Array): Promise<void> }>;
  publish(options: { state: StateToPublish; best: boolean }): Promise<{ path: string }>;
}

/** Publishes the state at the group's position as the checkpoint of its step. All members stand still meanwhile. */
export async function saveCheckpoint(
  store: StateStore,
  group: Group,
  { parameters, facts, best }: SaveOptions,
): Promise<string> {
  const { step } = group.position;
  await using writer = await store.begin(step);
  const float = (name: string, shape: readonly number[]) => ({ name, dtype: "F32" as const, shape });
  const moments = ["exp_avg", "exp_avg_sq"].flatMap((moment) =>
    parameters.map(({ name, shape }) => float(`${moment}.${name}`, shape))
  );
  const model = await writer.file(MODEL, parameters.map(({ name, shape }) => float(name, shape)));
  const optimizer = await writer.file(OPTIMIZER, moments);
  const size = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  let left = 4 * size; // of the model's bytes, which come first
  await readState(group, {
    bytes: 12 * size,
    async onPiece(piece) {
      const own = piece.subarray(0, left);
      left -= own.length;
      if (own.length > 0) await model.write(own);
      if (own.length < piece.length) await optimizer.write(piece.subarray(own.length));
    },
  });
  const { path } = await writer.publish({ state: { ...facts, data_position: { step } }, best });
  return path;
}
