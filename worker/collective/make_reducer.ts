import { ReductionTree } from "../../shared/reduction_tree.ts";
import { faultsOf } from "../../shared/faults.ts";
import { Arena } from "../arena.ts";
import { bindKernels } from "../kernels/kernels.ts";
import type { Exposures } from "./exposures.ts";
import { faultyLinks } from "./faulty_links.ts";
import { makeExchange } from "./grouped_exchange.ts";
import { laneLinks, type LaneOptions } from "./lane_links.ts";
import type { ForArenas } from "./link.ts";
import { memoryLinks } from "./memory_links.ts";
import { planExchanges } from "./plan_exchanges.ts";
import { Reducer } from "./reducer.ts";
import { ExposedMemory } from "./shared_memory.ts";
import type { CollectiveSetup } from "./thread_messages.ts";
import { Turns } from "./turns.ts";
import { zmqLinks } from "./zmq_links.ts";

/**
 * A collective in this thread. A single member needs no sockets. With `exposures`, members of one host read each other's
 * arenas, to which nobody may write while it is called. Throws E_ZMQ or E_DECODE where it cannot join.
 */
export function makeReducer(setup: CollectiveSetup, exposures?: Exposures): Reducer {
  const { module, rank, generation, nonce, endpoints, hosts, tcp, nodes, frameElements } = setup;
  const partials = Arena.adopt(setup.partials);
  const state = Arena.adopt(setup.state);
  const reduced = state.region("reduced");
  const tree = new ReductionTree(setup.shardCount);
  const bind = {
    partials: (peer = partials.memory) =>
      bindKernels(module, { arena: partials, result: state, peer: { memory: peer } }),
    state: (peer = state.memory) => bindKernels(module, { arena: state, peer: { memory: peer } }),
  };
  const plans = planExchanges({ tree, nodes, rank, elements: reduced.length, frameElements });
  const peers = new Set(plans.flatMap((plan) => plan.level.members));
  const sockets = endpoints.length === 1
    ? null
    : zmqLinks({ rank, generation, endpoints, hosts, peers, tcp });
  const faults = setup.id === undefined ? undefined : faultsOf(setup.id);
  const isAlone = endpoints.length === 1 || faults?.altersFrames;
  const exposed = isAlone ? null : exposeAll(setup, exposures);
  const bare = sockets ?? memoryLinks(1)[0];
  const lanes = exposed === null ? bare : laneLinks(bare, { exposed, bind, hosts, rank, nonce, generation });
  const links = faults === undefined ? lanes : faultyLinks(lanes, faults);
  const exchange = makeExchange(plans, {
    links,
    nonce,
    generation,
    kernels: bind.partials(),
    resultKernels: bind.state(),
    scratch: partials.region("scratch"),
    reduced,
    squares: state.region("squares"),
  });
  return new Reducer({ exchange, links }, sockets);
}

/** The arenas, for members of one host to map; null where that is not possible. As `Exposures.expose`. */
export function exposeArenas(
  { partials, state }: Pick<CollectiveSetup, "partials" | "state">,
  exposures: Exposures,
): ForArenas<ExposedMemory> | null {
  const [reduced, squares] = (["reduced", "squares"] as const).map((name) => Arena.adopt(state).region(name));
  const arenas = exposures.expose([
    { memory: partials.memory, from: 0 },
    { memory: state.memory, from: Math.min(reduced.byteOffset, squares.byteOffset) },
  ]);
  return arenas === null ? null : { partials: arenas[0], state: arenas[1] };
}

/** What members of one host may map; null where that is not possible. */
function exposeAll(setup: CollectiveSetup, exposures: Exposures | undefined): LaneOptions["exposed"] | null {
  const arenas = exposures === undefined ? null : exposeArenas(setup, exposures);
  if (arenas === null) return null;
  const pages = Turns.bytes(setup.endpoints.length) / 65_536;
  const turns = ExposedMemory.expose(
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
  );
  return turns === null ? null : { ...arenas, turns };
}
