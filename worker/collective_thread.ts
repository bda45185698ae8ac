/// <reference lib="deno.worker" />
/** A thread that owns the data sockets and reduces gradients in place in the arenas of its process. */
import { LockstepError } from "../shared/errors.ts";
import { loadLibzmq } from "../shared/zmq/libzmq.ts";
import { Exposures } from "./collective/exposures.ts";
import { exposeArenas, makeReducer } from "./collective/make_reducer.ts";
import { PeerError } from "./collective/peer_error.ts";
import type { Reducer } from "./collective/reducer.ts";
import type { FromCollectiveThread, ToCollectiveThread } from "./collective/thread_messages.ts";

let reducer: Reducer | null = null;
const exposures = new Exposures();

async function handle(message: ToCollectiveThread): Promise<void> {
  switch (message.type) {
    case "expose":
      loadLibzmq();
      exposeArenas(message.memory, exposures);
      return answer({ type: "exposed" });
    case "configure":
      await reducer?.close();
      reducer = makeReducer(message.setup, exposures);
      return answer({ type: "configured", ports: reducer.ports });
    case "connect":
      return configured().connect(message.endpoints);
    case "begin":
      return answer({ type: "reduced", reduced: await configured().begin(message.key) });
    case "announce":
      return configured().announce(message.node, message.byteOffset);
    case "abort":
      await reducer?.abort();
      return answer({ type: "aborted" });
    case "status":
      return answer({ type: "status", status: reducer?.status() ?? { waitsFor: [], moved: 0, dropped: 0 } });
    case "close":
      await reducer?.close();
      answer({ type: "closed" });
      return self.close();
  }
}

function configured(): Reducer {
  if (reducer === null) throw new Error("The collective thread is used before it is configured");
  return reducer;
}

function answer(message: FromCollectiveThread): void {
  self.postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<ToCollectiveThread>) => {
  try {
    await handle(data);
  } catch (error) {
    if (!(error instanceof LockstepError) || (data.type !== "begin" && data.type !== "configure")) {
      throw error;
    }
    const rank = error instanceof PeerError ? error.rank : null;
    answer({ type: "failed", during: data.type, code: error.code, message: error.message, rank });
  }
};
