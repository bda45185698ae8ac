import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { sha256 } from "../../../shared/hash.ts";
import { readFlat, readHeader } from "../../../shared/checkpoint/safetensors.ts";
import { CheckpointStore, type FoundCheckpoint } from "../../../shared/checkpoint/store.ts";
import type { PublishedCheckpoint } from "../../../shared/checkpoint/writer.ts";
import { inTempDir, namesIn } from "../temp_dir.ts";

const TENSORS = [
  { name: "w", dtype: "F32", shape: [2, 2] },
  { name: "b", dtype: "F32", shape: [3] },
] as const;
const CONFIG_HASH = sha256("config");

/** A checkpoint whose weights are all `value`. */
async function publish(
  store: CheckpointStore,
  options: { step: number; value?: number; best?: boolean; val_loss?: number },
): Promise<PublishedCheckpoint> {
  const { step, value = step, best = false, val_loss = null } = options;
  const writer = await store.begin(step);
  const flat = new Uint8Array(new Float32Array(7).fill(value).buffer);
  for (const name of ["model.safetensors", "optimizer.safetensors"]) {
    const file = await writer.file(name, TENSORS);
    await file.write(flat.subarray(0, 5));
    await file.write(flat.subarray(5));
  }
  const state = {
    state_hash: sha256(`state ${value}`),
    config_hash: CONFIG_HASH,
    val_loss,
    best_val_loss: val_loss,
    data_position: { step },
  };
  return await writer.publish({ state, best });
}

async function weightOf(found: FoundCheckpoint): Promise<number> {
  const flat = new Float32Array(7);
  await readFlat(join(found.path, "model.safetensors"), [flat]);
  assert.deepEqual(flat, new Float32Array(7).fill(flat[0]));
  return flat[0];
}

async function flipBit(path: string, bit: number): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[bit >> 3] ^= 1 << (bit & 7);
  await Deno.writeFile(path, bytes);
}

Deno.test("CheckpointStore publishes a folder with tensors, sizes and hashes, and names it in LATEST and BEST", async () => {
  await inTempDir(async (root) => {
    const dir = join(root, "checkpoints");
    const store = new CheckpointStore(dir);
    const published = await publish(store, { step: 500, best: true, val_loss: 1.5 });
    assert.deepEqual(published, { path: join(dir, "step-00000500"), adopted: false });
    assert.deepEqual(await namesIn(dir), ["BEST", "LATEST", "step-00000500"]);
    assert.deepEqual(await namesIn(published.path), [
      "model.safetensors",
      "optimizer.safetensors",
      "state.json",
    ]);
    assert.equal(await Deno.readTextFile(join(dir, "LATEST")), "step-00000500\n");
    assert.equal(await Deno.readTextFile(join(dir, "BEST")), "step-00000500\n");

    const found = await store.load("latest");
    const bytes = await Deno.readFile(join(found.path, "model.safetensors"));
    assert.deepEqual(found.state, {
      format: 1,
      step: 500,
      state_hash: sha256("state 500"),
      config_hash: CONFIG_HASH,
      val_loss: 1.5,
      best_val_loss: 1.5,
      data_position: { step: 500 },
      files: {
        "model.safetensors": { bytes: bytes.byteLength, sha256: sha256(bytes) },
        "optimizer.safetensors": { bytes: bytes.byteLength, sha256: sha256(bytes) },
      },
    });
    assert.deepEqual(found.warnings, []);
    assert.equal(await weightOf(found), 500);
    const { tensors } = await readHeader(join(found.path, "model.safetensors"));
    assert.deepEqual(tensors.map(({ name }) => name), ["w", "b"]);
  });
});

Deno.test("CheckpointStore.begin() leaves nothing behind when the writer is abandoned or goes out of scope", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    {
      await using writer = await store.begin(1);
      await writer.file("model.safetensors", TENSORS);
    }
    const writer = await store.begin(2);
    await writer.abandon();
    await assert.rejects(writer.file("model.safetensors", TENSORS), {
      message: /was published or abandoned/,
    });
    assert.deepEqual(await namesIn(dir), []);
  });
});

Deno.test("CheckpointWriter refuses a file that is too short or too long, and a name with a path", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    const state = {
      state_hash: "aa",
      config_hash: "bb",
      val_loss: null,
      best_val_loss: null,
      data_position: {},
    };
    const short = await store.begin(1);
    await short.file("model.safetensors", TENSORS);
    await assert.rejects(short.publish({ state, best: false }), RangeError);
    const long = await store.begin(1);
    const file = await long.file("model.safetensors", TENSORS);
    await assert.rejects(file.write(new Uint8Array(29)), RangeError);
    const outside = await store.begin(1);
    await assert.rejects(outside.file("../model.safetensors", TENSORS), { code: "E_PATH" });
    assert.deepEqual(await namesIn(dir), []);
  });
});

Deno.test("CheckpointStore keeps the newest two and the best one", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir, { keep: 1 });
    await publish(store, { step: 1, best: true });
    for (const step of [2, 3, 4, 5]) await publish(store, { step });
    assert.deepEqual(await store.steps(), [1, 4, 5]);
    assert.equal((await store.load("best")).step, 1);
    assert.equal((await store.load(4)).step, 4);
    await publish(store, { step: 6, best: true });
    assert.deepEqual(await store.steps(), [5, 6]);
  });
});

Deno.test("CheckpointStore does not count a checkpoint that has rotted among those it keeps", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir, { keep: 2 });
    for (const step of [1, 2]) await publish(store, { step });
    await flipBit(join(dir, "step-00000002", "model.safetensors"), 900);
    await publish(store, { step: 3 });
    assert.deepEqual(await store.steps(), [1, 2, 3]);
    await publish(store, { step: 4 });
    assert.deepEqual(await store.steps(), [3, 4]);
  });
});

Deno.test("CheckpointStore adopts a checkpoint that is there with the same state, and moves another one aside", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    await publish(store, { step: 7, value: 1 });
    assert.equal((await publish(store, { step: 7, value: 1, best: true })).adopted, true);
    assert.deepEqual(await namesIn(dir), ["BEST", "LATEST", "step-00000007"]);
    assert.equal((await publish(store, { step: 7, value: 2 })).adopted, false);
    assert.equal(await weightOf(await store.load("latest")), 2);
    assert.deepEqual(await namesIn(dir), ["BEST", "LATEST", "step-00000007", "step-00000007.aside"]);
    await flipBit(join(dir, "step-00000007", "state.json"), 80);
    assert.equal((await publish(store, { step: 7, value: 2 })).adopted, false);
    assert.equal(await weightOf(await store.load(7)), 2);
    await publish(store, { step: 8, best: true });
    await publish(store, { step: 9 });
    assert.deepEqual(await namesIn(dir), ["BEST", "LATEST", "step-00000008", "step-00000009"]);
  });
});

Deno.test("CheckpointStore.load() says what is missing", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    await assert.rejects(store.load("latest"), {
      code: "E_NO_CHECKPOINT",
      message: `Cannot load a checkpoint from ${dir} as it holds none`,
    });
    await assert.rejects(new CheckpointStore(join(dir, "no")).load("best"), { code: "E_NO_CHECKPOINT" });
    await publish(store, { step: 3 });
    await assert.rejects(store.load(4), {
      code: "E_NO_CHECKPOINT",
      message: `Cannot load step 4 from ${dir} as it holds steps 3`,
    });
    const best = await store.load("best");
    assert.equal(best.step, 3);
    assert.deepEqual(best.warnings, [`Cannot tell the best checkpoint of ${dir}: taking the newest`]);
  });
});

Deno.test("CheckpointStore.load() falls back to the one before, and says so, for a bit flipped anywhere", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    await publish(store, { step: 1 });
    await publish(store, { step: 2, best: true });
    const files = ["model.safetensors", "optimizer.safetensors", "state.json"];
    const place = fc.tuple(fc.constantFrom(...files), fc.nat());
    await fc.assert(
      fc.asyncProperty(place, async ([name, at]) => {
        const path = join(dir, "step-00000002", name);
        const bit = at % ((await Deno.stat(path)).size * 8);
        await flipBit(path, bit);
        for (const which of ["latest", "best"] as const) {
          const found = await store.load(which);
          assert.equal(found.step, 1);
          assert.equal(found.warnings.length, 1);
          assert.match(
            found.warnings[0],
            /^E_CHECKPOINT_CORRUPT: Cannot use .*step-00000002 as its .* is damaged: /,
          );
          assert(found.warnings[0].includes(name));
        }
        await assert.rejects(store.load(2), { code: "E_CHECKPOINT_CORRUPT" });
        await flipBit(path, bit);
        assert.equal((await store.load("latest")).step, 2);
      }),
      { numRuns: 60 },
    );
  });
});

Deno.test("CheckpointStore.load() falls back for every file cut at any byte, and loads nothing if none is good", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    await publish(store, { step: 1 });
    await publish(store, { step: 2 });
    for (const name of ["model.safetensors", "state.json"]) {
      const path = join(dir, "step-00000002", name);
      const whole = await Deno.readFile(path);
      for (let length = 0; length < whole.byteLength; length++) {
        await Deno.writeFile(path, whole.subarray(0, length));
        assert.equal((await store.load("latest")).step, 1, `${name} cut to ${length}`);
      }
    }
    await Deno.remove(join(dir, "step-00000001", "optimizer.safetensors"));
    await assert.rejects(store.load("latest"), {
      code: "E_CHECKPOINT_CORRUPT",
      message:
        /state\.json is damaged.*step-00000001 as its optimizer\.safetensors is damaged.*, and there is no other/,
    });
  });
});

Deno.test("CheckpointStore.load() refuses a checkpoint under the name of another step", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir);
    await publish(store, { step: 1 });
    await Deno.rename(join(dir, "step-00000001"), join(dir, "step-00000009"));
    await assert.rejects(store.load("latest"), {
      message: /step-00000009 as it holds the checkpoint of step 1/,
    });
  });
});

Deno.test("CheckpointStore.sweep() removes temporary folders of its epoch and before, and nothing else", async () => {
  await inTempDir(async (dir) => {
    const store = new CheckpointStore(dir, { epoch: 3 });
    await publish(store, { step: 1 });
    const uuid = crypto.randomUUID();
    const names = [`tmp-2-${uuid}`, `tmp-3-${uuid}`, `tmp-4-${uuid}`, `tmp-${uuid}`, "tmp-notes"];
    for (const name of names) await Deno.mkdir(join(dir, name));
    assert.deepEqual((await store.sweep()).sort(), [`tmp-2-${uuid}`, `tmp-3-${uuid}`, `tmp-${uuid}`].sort());
    assert.deepEqual(await namesIn(dir), ["LATEST", "step-00000001", `tmp-4-${uuid}`, "tmp-notes"]);
    assert.deepEqual(await new CheckpointStore(join(dir, "no")).sweep(), []);
  });
});
