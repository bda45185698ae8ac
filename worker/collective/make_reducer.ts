import { ReductionTree } from "../../shared/reduction_tree.ts";
import { Arena } from "../arena.ts";
import { bindKernels } from "../kernels/kernels.ts";
import { ExchangePlan } from "./exchange_plan.ts";
import { memoryLinks } from "./memory_links.ts";
import { Reducer } from "./reducer.ts";
import type { CollectiveSetup } from "./thread_messages.ts";
import { zmqLinks } from "./zmq_links.ts";

/** A collective in this thread. A single member needs no sockets. Throws E_ZMQ or E_DECODE where it cannot join. */
export function makeReducer(setup: CollectiveSetup): Reducer {
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
