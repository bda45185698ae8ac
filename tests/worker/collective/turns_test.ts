import assert from "node:assert/strict";
import fc from "fast-check";
import { HEADER_BYTES } from "../../../worker/collective/codec.ts";
import type { Bytes } from "../../../worker/collective/link.ts";
import { SLOT_PAYLOAD, Turns, type Way } from "../../../worker/collective/turns.ts";

function makeTurns(): Turns {
  const pages = Turns.bytes(8) / 65_536;
  return new Turns(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
}

/** Ranks 2 and 5, each with the way to the other. */
function makePair(): { turns: Turns; way: Way }[] {
  const [a, b] = [makeTurns(), makeTurns()];
  return [
    { turns: a, way: { rank: 2, peer: 5, theirs: b } },
    { turns: b, way: { rank: 5, peer: 2, theirs: a } },
  ];
}

const header = (value: number): Bytes => new Uint8Array(HEADER_BYTES).fill(value);

function take({ turns, way }: { turns: Turns; way: Way }): { header: number; payload: number[] } | null {
  const [head, payload]: Bytes[] = [new Uint8Array(HEADER_BYTES), new Uint8Array(SLOT_PAYLOAD)];
  const received = turns.take(way, head, () => payload);
  return received && { header: head[63], payload: [...payload.subarray(0, received.payload)] };
}

Deno.test("Turns.put() and take() are a queue of eight messages each way, whatever the order of use", () => {
  const operation = fc.record({
    member: fc.constantFrom(0, 1),
    payload: fc.option(fc.uint8Array({ maxLength: SLOT_PAYLOAD })),
  });
  fc.assert(fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    const pair = makePair();
    const queues: { header: number; payload: number[] }[][] = [[], []];
    operations.forEach(({ member, payload }, i) => {
      const { turns, way } = pair[member];
      const [sent, received] = [queues[member], queues[1 - member]];
      assert.equal(turns.isWritable(way), sent.length < 8);
      assert.equal(turns.isReadable(way), received.length > 0);
      if (payload === null) {
        const wasFull = received.length === 8;
        const expected = received.shift() ?? null;
        assert.deepEqual(take(pair[member]), expected);
        if (expected !== null) assert.equal(turns.madeRoom(way), wasFull);
        return;
      }
      const isPut = turns.put(way, header(i % 256), new Uint8Array(payload));
      assert.equal(isPut, sent.length < 8);
      if (isPut) sent.push({ header: i % 256, payload: [...payload] });
    });
  }));
});

Deno.test("Turns.listen() returns at once where there is something to do, and after its time where nobody rings", () => {
  const { turns } = makePair()[0];
  const start = performance.now();
  turns.listen(() => true, 10_000);
  assert.ok(performance.now() - start < 1_000);
  const later = performance.now();
  turns.listen(() => false, 20);
  assert.ok(performance.now() - later >= 19);
});

Deno.test("Turns.ring() is answered by whoever listens, and says so where the member polls", async () => {
  const { turns } = makePair()[0];
  assert.equal(turns.ring(), true);
  let polled = false;
  await turns.whilePolling(() => true, () => Promise.reject(new Error("there is something to do")));
  await turns.whilePolling(() => false, () => {
    polled = true;
    assert.equal(turns.ring(), false);
    return Promise.resolve();
  });
  assert.ok(polled);
  assert.equal(turns.ring(), true);
});

Deno.test("Turns.ring() wakes a thread that listens", async () => {
  const { turns } = makePair()[0];
  const script = `
    import { Turns } from ${JSON.stringify(import.meta.resolve("../../../worker/collective/turns.ts"))};
    self.onmessage = ({ data }) => {
      const turns = new Turns(data);
      self.postMessage("listening");
      turns.listen(() => false, 20_000);
      self.postMessage("woken");
      self.close();
    };`;
  const thread = new Worker(`data:application/typescript,${encodeURIComponent(script)}`, { type: "module" });
  const start = performance.now();
  const messages: string[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;
  await new Promise<void>((resolve) => {
    thread.onmessage = ({ data }) => {
      messages.push(data);
      if (data === "listening") timer = setInterval(() => turns.ring(), 10);
      else resolve();
    };
    thread.postMessage(turns.memory);
  });
  clearInterval(timer);
  assert.deepEqual(messages, ["listening", "woken"]);
  assert.ok(performance.now() - start < 15_000);
});
