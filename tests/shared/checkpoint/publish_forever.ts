// Publishes checkpoints into the folder of its argument until it is killed: a helper of store_faults_test.ts.
import { sha256 } from "../../../shared/hash.ts";
import { CheckpointStore } from "../../../shared/checkpoint/store.ts";

const store = new CheckpointStore(Deno.args[0]);
await store.sweep();
const first = ((await store.steps()).at(-1) ?? 0) + 1;
for (let step = first;; step++) {
  const writer = await store.begin(step);
  const file = await writer.file("model.safetensors", [{ name: "w", dtype: "F32", shape: [16] }]);
  await file.write(new Uint8Array(new Float32Array(16).fill(step).buffer));
  const state = {
    state_hash: sha256(`${step}`),
    config_hash: sha256("config"),
    val_loss: null,
    best_val_loss: null,
    data_position: {},
  };
  await writer.publish({ state, best: false });
  console.log(step);
}
