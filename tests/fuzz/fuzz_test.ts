import assert from "node:assert/strict";
import { zmqTest } from "../shared/zmq/zmq_test_support.ts";
import { fuzzControlClient, fuzzControlServer, fuzzDataLink, fuzzHandshake } from "./targets.ts";

const seed = Math.floor(2 ** 31 * Math.random()); // a failure names it

zmqTest(
  "ControlServer delivers or refuses, and counts, each of 4,000 random and mutated messages",
  async () => {
    const { taken, refused } = await fuzzControlServer({ count: 4_000, seed });
    assert.ok(taken > 50, `${taken} taken`);
    assert.ok(refused.E_DECODE > 2_000, JSON.stringify(refused));
  },
);

zmqTest("openControlClient() refuses random and mutated messages and bears 2,000 of them", async () => {
  const { taken, refused } = await fuzzControlClient({ count: 2_000, seed });
  assert.ok(taken > 0 && refused.E_DECODE === 20, JSON.stringify({ taken, refused }));
});

zmqTest("Exchange refuses or drops each of 2,000 random and mutated frames on a data link", async () => {
  const { taken, refused } = await fuzzDataLink({ count: 2_000, seed });
  const codes = Object.keys(refused).sort();
  assert.deepEqual(codes, ["E_CRC", "E_DECODE", "E_SHORT", "E_STALE", "dropped"], JSON.stringify(refused));
  assert.equal(taken + Object.values(refused).reduce((sum, of) => sum + of), 2_000);
});

zmqTest("ControlServer with keys reads nothing of 1,000 connections that prove none", async () => {
  const { refused } = await fuzzHandshake({ count: 1_000, seed });
  assert.deepEqual(refused, { E_KEY: 1_000 });
});
