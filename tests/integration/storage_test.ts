import assert from "node:assert/strict";
import { assertRefused, type Sandbox, sandbox, TINY, within } from "./support.ts";

const RUN = [...TINY, "--nproc_per_node=1", "--eval_interval=10"];

Deno.test("train goes on from the checkpoint before when the newest is damaged, says so, and ends with the same bytes", async () => {
  await using box = await sandbox();
  const expected = await box.train("run", RUN);
  const newest = (file: string) => box.path("run", "checkpoints", "step-00000040", file);
  const damages: [string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array][] = [
    ["model.safetensors", (bytes) => bytes.subarray(0, bytes.length / 2)],
    ["optimizer.safetensors", flipBit],
    ["state.json", flipBit],
  ];
  for (const [file, damage] of damages) {
    await Deno.writeFile(newest(file), damage(await Deno.readFile(newest(file))));
    const ended = await box.run(["train", "--init_from=resume", "--out_dir=run"]);
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /^warning E_CHECKPOINT_CORRUPT: .*step-00000040/m, file);
    assert.match(ended.out, /from step 30$/m);
    assert.equal(await box.weights("run"), expected, file);
  }
  for (const step of ["step-00000030", "step-00000040"]) {
    const path = box.path("run", "checkpoints", step, "model.safetensors");
    await Deno.writeFile(path, flipBit(await Deno.readFile(path)));
  }
  const lost = await box.run(["train", "--init_from=resume", "--out_dir=run"]);
  assertRefused(lost, { status: 1, code: "E_CHECKPOINT_CORRUPT", words: ["step-00000030", "step-00000040"] });
  await Deno.remove(box.path("run", "checkpoints"), { recursive: true });
  const none = await box.run(["train", "--init_from=resume", "--out_dir=run"]);
  assertRefused(none, { status: 1, code: "E_NO_CHECKPOINT", words: ["run/checkpoints"] });
});

const NO_MOUNT = await whyNoMount();

function diskTest(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: NO_MOUNT === null ? title : `${title} (skipped: ${NO_MOUNT})`,
    ignore: NO_MOUNT !== null,
    fn,
  });
}

diskTest(
  "train goes on when the disk is full, ends with E_NO_SPACE if it stays so, and is resumed once there is room",
  async () => {
    await using box = await sandbox();
    const expected = await box.train("whole", RUN);
    await using disk = await smallDisk(box);
    await disk.fill({ leave: 350_000 }); // one checkpoint of 175 kB and the lines, not two
    const ended = await box.run(["train", ...RUN, "--out_dir=disk/run"]);
    assertRefused(ended, { status: 1, code: "E_NO_SPACE", words: ["disk/run"] });
    assert.match(ended.out, /saved .*step-00000010/);
    assert.match(ended.err, /^warning E_NO_SPACE: .*training goes on$/m);
    assert.match(ended.err, /to go on .*--init_from=resume --out_dir=disk\/run/);
    await disk.free();
    assert.equal(await box.train("disk/run", ["--init_from=resume", "--nproc_per_node=2"]), expected);
    assert.deepEqual(box.leftovers(), []);
  },
);

diskTest(
  "train waits where the ledger finds no place, goes on once there is room, ends with 75 when stopped before, and a start that finds none is refused",
  async () => {
    await using box = await sandbox();
    await using disk = await smallDisk(box);
    const words = [
      ...RUN,
      "--max_iters=2000",
      "--log_interval=1",
      "--eval_interval=2000",
      "--out_dir=disk/run",
    ];
    const program = box.start(["train", ...words]);
    await program.says("iter 5:");
    await disk.fill({ leave: 0 });
    await program.says("the step waits");
    const iterations = () => program.text.out.match(/^iter \d+:/gm)?.length ?? 0;
    const held = iterations();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(iterations(), held);
    await disk.free();
    await within(5_000, () => iterations() > held, "it goes on");
    await disk.fill({ leave: 0 });
    await within(20_000, () => program.text.err.split("the step waits").length > 2, "it waits again");
    program.kill("SIGTERM");
    assertRefused(await program.ended, { status: 75, code: "E_LEDGER", words: ["disk/run"] });
    assertRefused(await box.run(["train", ...RUN, "--out_dir=disk/other"]), {
      status: 1,
      code: "E_NO_SPACE",
      words: ["disk/other"],
    });
  },
);

diskTest("train refuses an out_dir on a read-only disk", async () => {
  await using box = await sandbox();
  await using disk = await smallDisk(box);
  await disk.forbidWriting();
  const ended = await box.run(["train", ...RUN, "--out_dir=disk/run"]);
  assertRefused(ended, { status: 1, code: "E_OUT_DIR", words: ["disk/run", "read-only"] });
});

function flipBit(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  const flipped = bytes.slice();
  flipped[Math.floor(flipped.length * 0.7)] ^= 1;
  return flipped;
}

/** A disk of 1 MiB mounted at `disk` in the sandbox. */
async function smallDisk(box: Sandbox) {
  const path = box.path("disk");
  await Deno.mkdir(path);
  await command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path);
  const filler = `${path}/filler`;
  return {
    async fill({ leave }: { leave: number }) {
      const file = await Deno.create(filler);
      const piece = new Uint8Array(4096);
      try {
        for (;;) await file.write(piece);
      } catch {
        await file.truncate((await file.stat()).size - leave);
      }
      file.close();
    },
    free: () => Deno.remove(filler),
    forbidWriting: () => command("mount", "-o", "remount,ro", path),
    [Symbol.asyncDispose]: () => command("umount", path),
  };
}

async function command(name: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(name, { args, stderr: "piped" }).output();
  assert.equal(code, 0, `${name} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Why no file system can be mounted here; null where one can. */
async function whyNoMount(): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "needs root on Linux to mount a small disk";
  const path = await Deno.makeTempDir();
  try {
    await command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path);
    await command("umount", path);
    return null;
  } catch {
    return "mounting is not allowed here";
  } finally {
    await Deno.remove(path);
  }
}
