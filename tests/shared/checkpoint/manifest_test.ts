import assert from "node:assert/strict";
import { join } from "node:path";
import { canonicalHash, sha256 } from "../../../shared/hash.ts";
import {
  assertSameNumerics,
  changesEngine,
  compareNumerics,
  continueManifest,
  createManifest,
  type Numerics,
  readManifest,
  writeManifest,
} from "../../../shared/checkpoint/manifest.ts";
import { inTempDir } from "../temp_dir.ts";

const numerics: Numerics = {
  engine: "onnx",
  device: "cpu",
  threads: 1,
  graph: sha256("graph"),
  slice_rows: 8,
  engine_module: null,
  model_module: null,
  data: { "train.bin": sha256("train") },
  config: { batch_size: 12, reflex: { heads: [2, 2, 2] }, seed: 1337 },
};

const manifest = createManifest({
  run_id: "r1",
  created: "2026-01-02T03:04:05Z",
  versions: { lockstep: "0.1.0", deno: "2.9.6" },
  git_revision: null,
  numerics,
});

Deno.test("writeManifest() writes what readManifest() reads", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "manifest.json");
    await writeManifest(path, manifest);
    assert.deepEqual(await readManifest(path), manifest);
    assert.equal(manifest.config_hash, canonicalHash(numerics));
  });
});

Deno.test("readManifest() refuses a missing, a damaged and an edited manifest in one sentence", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "manifest.json");
    await assert.rejects(readManifest(path), { code: "E_OUT_DIR", message: /as there is no such file$/ });
    await Deno.writeTextFile(path, "{");
    await assert.rejects(readManifest(path), { code: "E_DECODE", message: /as it is no JSON$/ });
    await Deno.writeTextFile(path, JSON.stringify({ ...manifest, run_id: 3 }));
    await assert.rejects(readManifest(path), { code: "E_DECODE", message: /as its "run_id" is wrong/ });
    await Deno.writeTextFile(path, JSON.stringify({ ...manifest, numerics: { ...numerics, threads: 2 } }));
    await assert.rejects(readManifest(path), { code: "E_DECODE", message: /do not have its config_hash$/ });
  });
});

Deno.test("compareNumerics() names every key that differs, at any depth, and is silent on the order of keys", () => {
  const same = { ...numerics, config: { seed: 1337, reflex: { heads: [2, 2, 2] }, batch_size: 12 } };
  assert.deepEqual(compareNumerics(numerics, same), []);
  const other: Numerics = {
    ...numerics,
    threads: 2,
    model_module: { path: "m.ts", sha256: sha256("m") },
    data: {},
    config: { ...numerics.config, batch_size: 16, reflex: { heads: [4, 1, 1] } },
  };
  assert.deepEqual(compareNumerics(numerics, other), [
    { key: "config.batch_size", saved: "12", current: "16" },
    { key: "config.reflex.heads", saved: "[2,2,2]", current: "[4,1,1]" },
    { key: "data.train.bin", saved: JSON.stringify(sha256("train")), current: "nothing" },
    { key: "model_module", saved: "null", current: "nothing" },
    { key: "model_module.path", saved: "nothing", current: '"m.ts"' },
    { key: "model_module.sha256", saved: "nothing", current: JSON.stringify(sha256("m")) },
    { key: "threads", saved: "1", current: "2" },
  ]);
});

Deno.test("assertSameNumerics() refuses with E_CONFIG_HASH and both values", () => {
  assertSameNumerics(numerics, structuredClone(numerics));
  assert.throws(() => assertSameNumerics(numerics, { ...numerics, threads: 2, engine: "reference" }), {
    code: "E_CONFIG_HASH",
    message:
      'Cannot resume as a run must go on with the numerics it started with: engine was "onnx" and is ' +
      '"reference", threads was 1 and is 2; give the old values or start another run',
  });
});

const reference: Numerics = { ...numerics, engine: "reference", graph: null, slice_rows: null };

Deno.test("changesEngine() takes another engine with all that follows from it, and nothing else", () => {
  assert.equal(changesEngine(numerics, structuredClone(numerics)), false);
  assert.equal(changesEngine(numerics, reference), true);
  assert.equal(changesEngine(numerics, { ...numerics, device: "cuda", threads: 2 }), true);
  const refused: [Numerics, RegExp][] = [
    [{ ...numerics, threads: 2 }, /: threads was 1 and is 2;/],
    [{ ...numerics, graph: sha256("other") }, /: graph was/],
    [{ ...reference, config: { ...numerics.config, seed: 1 } }, /: config.seed was 1337 and is 1;/],
    [{ ...reference, data: {} }, /: data.train.bin was/],
    [{ ...reference, model_module: { path: "m.ts", sha256: sha256("m") } }, /: model_module was/],
  ];
  for (const [other, message] of refused) {
    assert.throws(() => changesEngine(numerics, other), { code: "E_CONFIG_HASH", message });
  }
});

Deno.test("continueManifest() keeps the history of numerics, each with the step up to which it computed", () => {
  const history = ({ changes, numerics }: typeof manifest) =>
    [...changes.map((change) => `${change.numerics.engine} to ${change.until}`), numerics.engine].join(", ");
  const at20 = continueManifest(manifest, { step: 20, numerics: reference });
  assert.equal(history(at20), "onnx to 20, reference");
  assert.equal(at20.config_hash, canonicalHash(reference));
  assert.equal(history(continueManifest(at20, { step: 30, numerics: reference })), "onnx to 20, reference");
  const at30 = continueManifest(at20, { step: 30, numerics });
  assert.equal(history(at30), "onnx to 20, reference to 30, onnx");
  // Back to a checkpoint before a change: the steps from there are computed anew.
  assert.equal(history(continueManifest(at30, { step: 25, numerics })), "onnx to 20, reference to 25, onnx");
  assert.equal(history(continueManifest(at30, { step: 10, numerics: reference })), "onnx to 10, reference");
  assert.equal(history(continueManifest(at30, { step: 10, numerics })), "onnx");
  // The same checkpoint again, after a start that saved nothing.
  assert.equal(history(continueManifest(at20, { step: 20, numerics })), "onnx");
  assert.equal(history(continueManifest(manifest, { step: 0, numerics: reference })), "reference");
});

Deno.test("readManifest() reads a manifest with a history, and one from before there was any", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "manifest.json");
    const continued = continueManifest(manifest, { step: 20, numerics: reference });
    await writeManifest(path, continued);
    assert.deepEqual(await readManifest(path), continued);
    const { changes: _, ...old } = manifest;
    await Deno.writeTextFile(path, JSON.stringify(old));
    assert.deepEqual(await readManifest(path), manifest);
  }));
