import assert from "node:assert/strict";
import {
  fuzzControlClient,
  fuzzControlServer,
  fuzzDataLink,
  fuzzHandshake,
  type Outcome,
} from "../fuzz/targets.ts";
import { zmqTest } from "../shared/zmq/zmq_test_support.ts";

/** Frames at each socket; LOCKSTEP_FUZZ sets another number. */
const COUNT = Number(Deno.env.get("LOCKSTEP_FUZZ") ?? 1_000_000);
/** A run of so many frames has a seed of its own. */
const ROUND = 20_000;
/** What a heap may grow by before it is collected; a leak of 500 bytes a frame would be more. */
const SLACK_BYTES = 400e6;

const targets = [
  { title: "ControlServer delivers or refuses", fuzz: fuzzControlServer, count: COUNT },
  { title: "openControlClient() refuses", fuzz: fuzzControlClient, count: COUNT },
  { title: "Exchange refuses or drops", fuzz: fuzzDataLink, count: COUNT },
  { title: "ControlServer with keys reads nothing of", fuzz: fuzzHandshake, count: Math.ceil(COUNT / 10) },
];

for (const { title, fuzz, count } of targets) {
  const what = fuzz === fuzzHandshake ? "connections that prove no key" : "random and mutated frames";
  zmqTest(`${title} ${count.toLocaleString("en-US")} ${what}, and memory stays bounded`, async () => {
    const sums: Outcome = { taken: 0, refused: {} };
    const began = performance.now();
    await fuzz({ count: Math.min(ROUND, count), seed: 0 }); // what is made once has been made
    const before = Deno.memoryUsage().rss;
    for (let done = 0, seed = 1; done < count; done += ROUND, seed++) {
      const { taken, refused } = await fuzz({ count: Math.min(ROUND, count - done), seed });
      sums.taken += taken;
      for (const [code, of] of Object.entries(refused)) sums.refused[code] = (sums.refused[code] ?? 0) + of;
    }
    const grown = Deno.memoryUsage().rss - before;
    const seconds = Math.round((performance.now() - began) / 1e3);
    console.log(`${JSON.stringify(sums)}, ${seconds} s, memory grew by ${Math.round(grown / 1e6)} MB`);
    assert.ok(grown < SLACK_BYTES, `memory grew by ${grown} bytes`);
  });
}
