/// <reference lib="deno.worker" />
/** A thread that owns the data sockets and reduces gradients in place in the arenas of its process. */
import { LockstepError } from "../shared/errors.ts";
import { ReductionTree } from "../shared/reduction_tree.ts";
import { Arena } from "./arena.ts";
import { ExchangePlan } from "./collective/exchange_plan.ts";
import { memoryLinks } from "./collective/memory_links.ts";
import { Reducer } from "./collective/reducer.ts";
import type {
  CollectiveSetup,
  FromCollectiveThread,
  ToCollectiveThread,
} from "./collective/thread_messages.ts";
import { zmqLinks } from "./collective/zmq_links.ts";
import { bindKernels } from "./kernels/kernels.ts";

let reducer: Reducer | null = null;

function makeReducer(setup: CollectiveSetup): Reducer {
  const { module, rank, generation, nonce, endpoints, nodes, frameElements } = setup;
  const partials = Arena.adopt(setup.partials);
  const state = Arena.adopt(setup.state);
  const reduced = state.region("reduced");
  const tree = new ReductionTree(setup.shardCount);
  return new Reducer({
    plan: new ExchangePlan({ tree, nodes, rank, elements: reduced.length, frameElements }),
    links: endpoints.length === 1 ? memoryLinks(1)[0] : zmqLinks({ rank, generation, endpoints }),
    nonce,
    generation,
    kernels: bindKernels(module, { arena: partials, result: state }),
    resultKernels: bindKernels(module, { arena: state }),
    scratch: partials.region("scratch"),
    reduced,
    squares: state.region("squares"),
  });
}

async function handle(message: ToCollectiveThread): Promise<void> {
  switch (message.type) {
    case "configure":
      await reducer?.close();
      reducer = makeReducer(message.setup);
      return answer({ type: "configured" });
    case "begin":
      return answer({ type: "reduced", reduced: await configured().begin(message.key) });
    case "announce":
      return configured().announce(message.node, message.byteOffset);
    case "abort":
      await reducer?.abort();
      return answer({ type: "aborted" });
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
    answer({ type: "failed", during: data.type, code: error.code, message: error.message });
  }
};
