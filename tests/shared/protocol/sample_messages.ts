import { type FromWorker, NO_SESSION, type ToWorker } from "../../../shared/protocol/messages.ts";

/** Short messages for tests of what carries them. */
export const ALIVE: FromWorker = {
  type: "BEAT",
  ...NO_SESSION,
  waitsFor: [],
  moved: 0,
  dropped: 0,
  cpuMs: 0,
};
export const BEAT: ToWorker = { type: "BEAT", ...NO_SESSION };
export const DRAIN: ToWorker = { type: "DRAIN", ...NO_SESSION, stopped: false };

export function leave(reason: string): FromWorker {
  return { type: "LEAVE", ...NO_SESSION, reason };
}

export function syncGet(index: number): FromWorker {
  return { type: "SYNC_GET", ...NO_SESSION, epoch: 1, generation: 2, step: 3, index, pieces: 1 };
}
