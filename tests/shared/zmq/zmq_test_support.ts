import { loadLibzmq } from "../../../shared/zmq/libzmq.ts";

/** Registers a test that needs libzmq; where that cannot be loaded it is skipped, and the title says why. */
export function zmqTest(title: string, fn: () => Promise<void> | void): void {
  Deno.test({
    name: problem === null ? title : `${title} (skipped: ${problem})`,
    ignore: problem !== null,
    fn,
  });
}

// Loaded outside of any test, as it stays open and Deno reports what a test leaves open.
const problem = loadProblem();

function loadProblem(): string | null {
  try {
    loadLibzmq();
    return null;
  } catch (error) {
    return String(error);
  }
}
