import { LockstepError } from "../../shared/errors.ts";
import { makeKeyPair } from "../../shared/zmq/curve.ts";
import { loadLibzmq } from "../../shared/zmq/libzmq.ts";
import { type Check, failure, ok, warning } from "./check.ts";

/** Whether libzmq loads and can encrypt. A run of one process goes without. */
export function libzmqCheck({ load = loadAndEncrypt }: { load?: () => string } = {}): Check {
  return {
    name: "libzmq",
    async run({ config, plan }) {
      try {
        return ok(load());
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        const isNeeded = config.nnodes !== "1" || config.rdzv_endpoint !== null ||
          await plan.workers().then(({ count }) => count > 1, () => true);
        const said = shorten(error.message);
        return isNeeded
          ? failure(said, FIX)
          : warning(`does not load, so runs are of one process: ${said}`, FIX);
      }
    },
  };
}

const FIX =
  "allow FFI (--allow-ffi), install libzmq (Debian: apt-get install libzmq5), or use --nproc_per_node=1";

/** The message lists every place that was tried. */
const LONGEST = 300;

function shorten(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}

function loadAndEncrypt(): string {
  const zmq = loadLibzmq();
  const parts = [new Int32Array(1), new Int32Array(1), new Int32Array(1)];
  zmq.zmq_version(parts[0], parts[1], parts[2]);
  makeKeyPair();
  return `${parts.map(([part]) => part).join(".")} with CURVE`;
}
