import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { describeMachine, readMachine } from "../../../worker/engines/machine.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const TWO = [
  "dev/nvidia0",
  "dev/nvidia1",
  "dev/nvidiactl",
  "proc/driver/nvidia/gpus/0000:01:00.0",
  "proc/driver/nvidia/gpus/0000:02:00.0",
];

Deno.test("describeMachine() counts NVIDIA GPUs by node and by the driver's list, the fewer of both", () => {
  const count = (lines: string[]) => describeMachine(lines, undefined).nvidiaGpus;
  assert.deepEqual(count(TWO), ["0", "1"]);
  assert.deepEqual(count(TWO.filter((line) => line !== "dev/nvidia1")), ["0"]); // a container with one of two
  assert.deepEqual(count(["dev/nvidia0", "dev/nvidiactl"]), ["0"]);
  assert.deepEqual(count(["proc/driver/nvidia/gpus/0000:01:00.0"]), ["0"]);
  assert.deepEqual(count(["dev/dxg"]), ["0"]); // WSL
  assert.deepEqual(count(["dev/nvidiactl"]), []);
  assert.deepEqual(count(["dev/dri/renderD128"]), []);
});

Deno.test("describeMachine() takes the GPUs that CUDA_VISIBLE_DEVICES names, up to the first that is none", () => {
  const visible = (text: string) => describeMachine(TWO, text).nvidiaGpus;
  assert.deepEqual(visible("1"), ["1"]);
  assert.deepEqual(visible("1, 0"), ["1", "0"]);
  assert.deepEqual(visible("GPU-5a1c,MIG-7"), ["GPU-5a1c", "MIG-7"]);
  assert.deepEqual(visible("0,-1,1"), ["0"]);
  assert.deepEqual(visible("0,7,1"), ["0"]);
  assert.deepEqual(visible(""), []);
});

Deno.test("describeMachine() says why there is no GPU for CUDA, and whether one of another vendor may be there", () => {
  const whys = (lines: string[], visible?: string) => {
    const { noNvidia, noGpu } = describeMachine(lines, visible);
    return [noNvidia, noGpu];
  };
  assert.deepEqual(whys([]), ["no NVIDIA GPU", "no GPU"]);
  assert.deepEqual(whys(["dev/dri/renderD128"]), ["no NVIDIA GPU", null]);
  assert.deepEqual(whys(TWO), [null, null]);
  assert.deepEqual(whys(TWO, "-1"), ["CUDA_VISIBLE_DEVICES hides every GPU", null]);
});

const linux = Deno.build.os === "linux";

Deno.test({
  name: `readMachine() looks at the nodes and the driver of a folder${
    linux ? "" : " (skipped: needs Linux)"
  }`,
  ignore: !linux,
  fn: () =>
    inTempDir(async (root) => {
      const nothing = await readMachine({ root, visible: undefined });
      assert.deepEqual(nothing, {
        nvidiaGpus: [],
        noNvidia: "no NVIDIA GPU",
        nvidiaDriver: null,
        noGpu: "no GPU",
      });
      const driver = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06";
      for (const path of [...TWO, "proc/driver/nvidia/version"]) {
        await Deno.mkdir(dirname(join(root, path)), { recursive: true });
        await Deno.writeTextFile(join(root, path), `${driver}\nGCC version: 12\n`);
      }
      const { nvidiaGpus, noNvidia, nvidiaDriver, noGpu } = await readMachine({ root, visible: "1" });
      assert.deepEqual({ nvidiaGpus, noNvidia, noGpu }, { nvidiaGpus: ["1"], noNvidia: null, noGpu: null });
      assert.equal(nvidiaDriver?.replace(/\s+/g, " "), driver.replace(/\s+/g, " "));
    }),
});

Deno.test({
  name: "readMachine() takes no GPU where it may not start the shell that looks",
  permissions: { run: false, env: true },
  ignore: !linux,
  async fn() {
    const { noNvidia, noGpu } = await readMachine();
    assert.deepEqual([noNvidia, noGpu], ["--allow-run is denied", "--allow-run is denied"]);
  },
});
