import { dirname, join, resolve } from "node:path";
import { statfs } from "node:fs/promises";
import { LockstepError } from "../../shared/errors.ts";
import { disk, fileError, writeAll } from "../../shared/files.ts";
import {
  type Check,
  describeBytes,
  type DoctorContext,
  failure,
  type Finding,
  ok,
  warning,
} from "./check.ts";

/** What is written to measure the speed, in bytes. */
const SAMPLE_BYTES = 32 << 20;
/** Slower, and checkpoints hold a run up. */
const SLOW_BYTES_PER_SECOND = 20e6;
/** Logs and metrics, with room. */
const LOG_BYTES = 64 << 20;
const OTHER_PLACE =
  "free some space, choose another --out_dir, or keep fewer checkpoints (--keep_checkpoints)";

/** Whether there is room for a run's checkpoints where it writes them, and how fast that place is. */
export function diskCheck(): Check {
  return { name: "disk", run: checkDisk };
}

async function checkDisk({ config, plan }: DoctorContext): Promise<Finding> {
  const folder = await existingFolder(resolve(config.out_dir ?? "out"));
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const { checkpointBytes } = await plan.needs();
  // The best one is kept besides, and the next is written before an older one goes.
  const need = (config.keep_checkpoints + 2) * checkpointBytes + LOG_BYTES;
  const room = `${describeBytes(free)} free in ${folder}, about ${describeBytes(need)} needed`;
  if (free < need) return failure(room, OTHER_PLACE);
  const speed = await writeSpeed(folder, Math.min(SAMPLE_BYTES, free / 4));
  const detail = `${room}; written with ${(speed / 1e6).toFixed(0)} MB/s, a checkpoint in ${
    (checkpointBytes / speed).toFixed(1)
  } s`;
  if (speed >= SLOW_BYTES_PER_SECOND) return ok(detail);
  return warning(detail, "choose a faster place for --out_dir, or evaluate less often (--eval_interval)");
}

/** `path` or the nearest folder above it that is there. */
async function existingFolder(path: string): Promise<string> {
  for (let at = path;; at = dirname(at)) {
    const found = await Deno.stat(at).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null;
      throw fileError(error, `write ${path}`);
    });
    if (found?.isDirectory) return at;
    if (found !== null || at === dirname(at)) {
      throw new LockstepError(
        "E_OUT_DIR",
        `Cannot write ${path} as ${at} is no folder: choose another --out_dir`,
      );
    }
  }
}

/** Bytes a second, with all of them on the storage device at the end. */
async function writeSpeed(folder: string, bytes: number): Promise<number> {
  const path = join(folder, `tmp-doctor-${crypto.randomUUID()}`);
  const content = crypto.getRandomValues(new Uint8Array(65_536)); // some file systems compress
  try {
    const file = await disk.create(path);
    try {
      const began = performance.now();
      let written = 0;
      for (; written < bytes; written += content.length) await writeAll(file, content);
      await file.sync();
      return written / ((performance.now() - began) / 1000);
    } finally {
      file.close();
    }
  } catch (error) {
    throw fileError(error, `write ${path}`);
  } finally {
    await disk.remove(path).catch(() => {}); // what failed before is told
  }
}
