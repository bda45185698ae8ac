import { memoryPair } from "../../../shared/protocol/channel.ts";
import { channelContract } from "./channel_contract.ts";

channelContract({
  name: "memoryPair()",
  open: (id) => Promise.resolve(memoryPair(id)),
  test: (title, fn) => Deno.test(title, fn),
});
