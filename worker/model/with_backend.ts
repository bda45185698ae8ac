import * as tf from "@tensorflow/tfjs";

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `work` while `backend` is TensorFlow.js's backend, and sets the former one again whatever happens. A thread has
 * one such setting, so calls take turns in the order in which they were made.
 */
export function withBackend<T>(backend: string, work: () => T): Promise<T> {
  const turn = last.then(async () => {
    await tf.ready(); // chooses the default, if nothing has been chosen yet
    const before = tf.getBackend();
    if (before === backend) return work();
    await tf.setBackend(backend);
    try {
      return work();
    } finally {
      await tf.setBackend(before);
    }
  });
  last = turn.catch(() => {});
  return turn;
}
