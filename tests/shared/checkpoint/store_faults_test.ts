import assert from "node:assert/strict";
import { join } from "node:path";
import { type Disk, disk } from "../../../shared/files.ts";
import { sha256 } from "../../../shared/hash.ts";
import { readFlat } from "../../../shared/checkpoint/safetensors.ts";
import { CheckpointStore } from "../../../shared/checkpoint/store.ts";
import { fastDisk, faultyDisk, systemError } from "./faulty_disk.ts";
import { inTempDir, namesIn } from "../temp_dir.ts";

const TENSORS = [{ name: "w", dtype: "F32", shape: [16] }] as const;

async function publish(store: CheckpointStore, options: { step: number; value?: number; elements?: number }) {
  const { step, value = step, elements = 16 } = options;
  const state = {
    state_hash: sha256(`${value}`),
    config_hash: sha256("config"),
    val_loss: null,
    best_val_loss: null,
    data_position: {},
  };
  await using writer = await store.begin(step);
  const file = await writer.file("model.safetensors", [{ ...TENSORS[0], shape: [elements] }]);
  await file.write(new Uint8Array(new Float32Array(elements).fill(value).buffer));
  await writer.publish({ state, best: true });
}

async function latestValue(
  store: CheckpointStore,
): Promise<{ step: number; value: number; warnings: string[] }> {
  const { path, step, warnings } = await store.load("latest");
  const flat = new Float32Array(16);
  await readFlat(join(path, "model.safetensors"), [flat]);
  return { step, value: flat[0], warnings };
}

/** Steps 1 and 2 lie there; publishing `step` with `value` 20 prunes 1, or replaces 2. */
const SCENARIOS = [
  { title: "a new step", step: 3, before: { step: 2, value: 2 } },
  { title: "a step that was there with another state", step: 2, before: { step: 2, value: 2 } },
];

for (const { title, step, before } of SCENARIOS) {
  for (const outcome of ["fails", "fails half done"] as const) {
    Deno.test(`CheckpointStore, dying at any call that ${outcome} while it publishes ${title}, loses nothing`, async () => {
      for (let last = 0, survived = false; !survived; last++) {
        await inTempDir(async (dir) => {
          for (const s of [1, 2]) await publish(new CheckpointStore(dir, { disk: fastDisk }), { step: s });
          // The process dies at call `last`: that one and all after it do nothing more.
          const dying = faultyDisk(
            ({ number }) => number < last ? "works" : number === last ? outcome : "fails",
            () => new Error("died"),
          );
          survived = await publish(new CheckpointStore(dir, { disk: dying }), { step, value: 20 })
            .then(() => true, () => false);
          assert(last < 60, "the loop must end");

          const store = new CheckpointStore(dir, { disk: fastDisk });
          await store.sweep();
          const found = await latestValue(store);
          assert.deepEqual(found.warnings, [], `call ${last}`);
          const isOld = found.step === before.step && found.value === before.value;
          const isNew = found.step === step && found.value === 20;
          assert(isNew || (isOld && !survived), `call ${last}: loaded ${JSON.stringify(found)}`);
          assert.deepEqual((await namesIn(dir)).filter((name) => name.startsWith("tmp-")), []);

          await publish(store, { step: 4 });
          assert.deepEqual(await latestValue(store), { step: 4, value: 4, warnings: [] });
          assert.equal(await Deno.readTextFile(join(dir, "LATEST")), "step-00000004\n");
        });
      }
    });
  }
}

for (const [errno, code] of [["ENOSPC", "E_NO_SPACE"], ["EROFS", "E_OUT_DIR"]]) {
  Deno.test(`CheckpointStore turns ${errno} of any call into ${code}, removes what it wrote and keeps what was there`, async () => {
    for (let at = 0, done = false; !done; at++) {
      await inTempDir(async (dir) => {
        for (const s of [1, 2]) await publish(new CheckpointStore(dir, { disk: fastDisk }), { step: s });
        // Removing works on a full disk.
        const failing = faultyDisk(
          ({ number, name }) => number === at && name !== "remove" ? "fails" : "works",
          () => systemError(errno),
        );
        const error = await publish(new CheckpointStore(dir, { disk: failing }), { step: 3 }).catch((error) =>
          error
        );
        done = failing.calls <= at;
        if (error !== undefined) {
          assert.equal(error.code, code, `call ${at}: ${error.message}`);
          assert.match(error.message, /^Cannot .*[^.]$/);
        }
        assert.deepEqual((await namesIn(dir)).filter((name) => name.startsWith("tmp-")), [], `call ${at}`);
        const latest = (await Deno.readTextFile(join(dir, "LATEST"))).trim();
        assert((await namesIn(dir)).includes(latest));
        const { step, warnings } = await latestValue(new CheckpointStore(dir));
        assert(step === 2 || step === 3);
        assert.deepEqual(warnings, []);
      });
    }
  });
}

Deno.test("CheckpointStore does not publish what reads back other than it was written", async () => {
  await inTempDir(async (dir) => {
    await publish(new CheckpointStore(dir), { step: 1 });
    const flipping: Disk = {
      ...disk,
      async create(path) {
        const file = await disk.create(path);
        return {
          sync: () => file.sync(),
          close: () => file.close(),
          write(bytes) {
            const flipped = bytes.slice();
            flipped[flipped.byteLength - 1] ^= 1;
            return file.write(flipped);
          },
        };
      },
    };
    await assert.rejects(publish(new CheckpointStore(dir, { disk: flipping }), { step: 2 }), {
      code: "E_CHECKPOINT_CORRUPT",
      message: /^Cannot publish .*model\.safetensors as it reads back other than it was written/,
    });
    assert.deepEqual(await namesIn(dir), ["BEST", "LATEST", "step-00000001"]);
  });
});

Deno.test("CheckpointStore of a process that is killed while it publishes without pause always loads", async () => {
  await inTempDir(async (dir) => {
    const module = new URL("publish_forever.ts", import.meta.url).pathname;
    for (const afterMs of [30, 45, 61]) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", module, dir],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = child.stdout.getReader();
      await reader.read(); // it has published something
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
      const store = new CheckpointStore(dir);
      await store.sweep();
      const { step, value, warnings } = await latestValue(store);
      assert(step > 0);
      assert.equal(value, step);
      assert.deepEqual(warnings, []);
      assert((await namesIn(dir)).every((name) => !name.startsWith("tmp-")));
    }
  });
});

/** Mounts a small tmpfs on `dir`; false where that is not possible. */
async function mountTmpfs(dir: string, options: string): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const command = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", options, "tmpfs", dir],
    stderr: "null",
  });
  return (await command.output()).success;
}

async function unmount(dir: string): Promise<void> {
  assert((await new Deno.Command("umount", { args: [dir] }).output()).success);
}

async function canMount(): Promise<boolean> {
  const dir = await Deno.makeTempDir();
  const mounted = await mountTmpfs(dir, "size=16k");
  if (mounted) await unmount(dir);
  await Deno.remove(dir);
  return mounted;
}

const mountable = await canMount();
const reason = mountable ? "" : " (skipped: only root on Linux can mount a tmpfs)";

Deno.test({
  name: `CheckpointStore on a full tmpfs says E_NO_SPACE and keeps the last checkpoint${reason}`,
  ignore: !mountable,
  async fn() {
    await inTempDir(async (dir) => {
      assert(await mountTmpfs(dir, "size=256k"));
      try {
        const store = new CheckpointStore(dir);
        await publish(store, { step: 1 });
        const names = await namesIn(dir);
        await assert.rejects(publish(store, { step: 2, elements: 100_000 }), {
          code: "E_NO_SPACE",
          message: /as the disk is full/,
        });
        assert.deepEqual(await namesIn(dir), names);
        assert.equal((await latestValue(store)).step, 1);
      } finally {
        await unmount(dir);
      }
    });
  },
});

Deno.test({
  name: `CheckpointStore on a read-only file system says E_OUT_DIR and loads what is there${reason}`,
  ignore: !mountable,
  async fn() {
    await inTempDir(async (dir) => {
      assert(await mountTmpfs(dir, "size=256k"));
      try {
        const store = new CheckpointStore(dir);
        await publish(store, { step: 1 });
        const remount = new Deno.Command("mount", { args: ["-o", "remount,ro", dir] });
        assert((await remount.output()).success);
        await assert.rejects(publish(store, { step: 2 }), { code: "E_OUT_DIR", message: /read-only/ });
        assert.equal((await latestValue(store)).step, 1);
      } finally {
        await unmount(dir);
      }
    });
  },
});
