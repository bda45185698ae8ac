/// <reference lib="deno.worker" />
/** The other thread of the arena's test: answers with the last number and writes a 3 there. */
import { Arena, type SharedArena } from "../../worker/arena.ts";

self.onmessage = (event: MessageEvent<SharedArena<"before" | "numbers">>) => {
  const { view } = Arena.adopt(event.data).region("numbers");
  const seen = view[view.length - 1];
  view[view.length - 1] = 3;
  self.postMessage(seen);
};
