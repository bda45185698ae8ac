import assert from "node:assert/strict";
import fc from "fast-check";
import { dealShards } from "../../../coordinator/plan.ts";
import { LockstepError } from "../../../shared/errors.ts";
import type { Reduced } from "../../../worker/collective/collective.ts";
import type { Link, Links } from "../../../worker/collective/link.ts";
import { computeShards, expectedGradient, makeWorld, MAX, type Member, pumpAll, sumOf } from "./members.ts";

/** Any deal of any number of shards to any number of members, also to some that get none. */
const anyDeal = fc.tuple(fc.integer({ min: 1, max: MAX.shards }), fc.integer({ min: 1, max: MAX.members }))
  .chain(([shards, members]) =>
    fc.array(fc.nat(members - 1), { minLength: shards, maxLength: shards }).map((owner) =>
      Array.from(
        { length: members },
        (_, rank) => owner.flatMap((other, shard) => other === rank ? [shard] : []),
      )
    )
  );

function reduceStep(members: Member[], step: number): Reduced[] {
  for (const { exchange } of members) exchange.begin({ step, attempt: 0 });
  for (const member of members) computeShards(member, () => member.exchange.pump());
  pumpAll(members);
  return members.map(({ exchange }) => exchange.result);
}

Deno.test("Exchange gives the same bits for any number of members, any shards and any deal", () => {
  const elements = fc.constantFrom(1, 4097, 16_384, 40_001, 70_000);
  fc.assert(
    fc.property(anyDeal, elements, fc.infiniteStream(fc.nat()), (deal, elements, order) => {
      const alone = reduceStep(makeWorld([deal.flat()], { elements }).members, 3)[0];
      const { tree, members } = makeWorld(deal, { elements });
      for (const { exchange } of members) exchange.begin({ step: 3, attempt: 0 });
      for (const member of members) computeShards(member, () => member.exchange.pump());
      pumpAll(members, (n) => order.next().value % n);
      const expected = expectedGradient(tree, elements);
      for (const { reduced, exchange } of members) {
        assert.deepEqual(reduced.view, expected);
        assert.deepEqual(sumOf(exchange.result), sumOf(alone));
        assert.deepEqual(exchange.result, members[0].exchange.result);
      }
    }),
    { numRuns: 25 },
  );
});

Deno.test("Exchange reduces step after step without a new start", () => {
  const { tree, members } = makeWorld(dealShards(6, 3), { elements: 20_000 });
  const first = reduceStep(members, 0);
  for (let step = 1; step < 4; step++) {
    for (const { reduced } of members) reduced.view.fill(0);
    assert.deepEqual(reduceStep(members, step), first);
    assert.deepEqual(members[1].reduced.view, expectedGradient(tree, 20_000));
  }
});

Deno.test("Exchange takes frames of a step that a faster member has begun only after its own begin", () => {
  const { tree, members } = makeWorld(dealShards(4, 2), { elements: 20_000 });
  const [fast, slow] = members;
  fast.exchange.begin({ step: 8, attempt: 1 });
  computeShards(fast, () => fast.exchange.pump());
  for (let i = 0; i < 9; i++) slow.exchange.pump();
  slow.exchange.begin({ step: 8, attempt: 1 });
  computeShards(slow);
  pumpAll(members);
  assert.deepEqual(slow.reduced.view, expectedGradient(tree, 20_000));
});

Deno.test("Exchange leaves own partial sums as they are, so that a step can be done again", () => {
  const { members } = makeWorld(dealShards(3, 2), { elements: 20_000 });
  const first = reduceStep(members, 0);
  for (const { exchange } of members) exchange.begin({ step: 0, attempt: 1 });
  for (const { accumulator, exchange } of members) {
    for (const { node, region } of accumulator.partials) exchange.announce(node, region.byteOffset);
  }
  pumpAll(members);
  assert.deepEqual(members.map(({ exchange }) => exchange.result), first);
});

/** Changes what rank 0 receives from rank 1. */
function tampered(tamper: (link: Link) => Link): (links: Links, rank: number) => Links {
  return (links, rank) => {
    const link = links.byRank.get(1);
    if (rank !== 0 || link === undefined) return links;
    return {
      byRank: new Map([...links.byRank, [1, tamper(link)]]),
      wait: (interest) => links.wait(interest),
      wake: () => links.wake(),
      close: () => links.close(),
    };
  };
}

/** A link that changes the first frame that it receives. */
function changeFirst(change: (header: Uint8Array, payload: Uint8Array) => void): (link: Link) => Link {
  return (link) => {
    let changed = false;
    return {
      trySend: (header, payload) => link.trySend(header, payload),
      tryReceive: (header, place) => {
        if (changed) return link.tryReceive(header, place);
        const [own, payload] = [new Uint8Array(64), new Uint8Array(1 << 20)];
        const sizes = link.tryReceive(own, () => payload);
        if (sizes === null) return null;
        changed = true;
        change(own, payload);
        header.set(own);
        const view = place(sizes.header);
        view?.set(payload.subarray(0, view.length));
        return sizes;
      },
    };
  };
}

function refusal(change: (header: Uint8Array, payload: Uint8Array) => void): LockstepError {
  const { members } = makeWorld(dealShards(2, 2), { elements: 20_000, wrap: tampered(changeFirst(change)) });
  try {
    reduceStep(members, 5);
  } catch (error) {
    if (error instanceof LockstepError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

Deno.test("Exchange refuses a flipped bit anywhere in a payload with E_CRC, and names rank and step", () => {
  fc.assert(
    fc.property(fc.nat(4 * 16_384 - 1), fc.nat(7), (at, bit) => {
      const error = refusal((_, payload) => payload[at] ^= 1 << bit);
      assert.equal(error.code, "E_CRC");
      assert.match(error.message, /^Cannot reduce step 5, attempt 0: rank 1 sent a partial frame at 0 /);
    }),
    { numRuns: 20 },
  );
});

Deno.test("Exchange refuses frames that it does not expect", () => {
  const set = (at: number, value: number) => (header: Uint8Array) => header[at] = value;
  assert.equal(refusal(set(48, 1)).code, "E_CRC"); // hash
  assert.equal(refusal(set(29, 9)).code, "E_DECODE"); // version
  assert.equal(refusal(set(28, 200)).code, "E_DECODE"); // phase
  assert.equal(refusal(set(30, 2)).code, "E_DECODE"); // sender
  assert.equal(refusal(set(32, 1)).code, "E_DECODE"); // a node of rank 0
  assert.equal(refusal(set(32, 77)).code, "E_DECODE"); // no node
  assert.equal(refusal(set(36, 5)).code, "E_DECODE"); // offset
  assert.equal(refusal(set(44, 4)).code, "E_DECODE"); // length
  assert.equal(refusal(set(20, 6)).code, "E_STALE"); // a later step
});

Deno.test("Exchange refuses a frame that is cut with E_SHORT", () => {
  const cut = (link: Link): Link => ({
    trySend: (header, payload) => link.trySend(header, payload),
    tryReceive: (header, place) => {
      const sizes = link.tryReceive(header, place);
      return sizes && { ...sizes, payload: sizes.payload - 4 };
    },
  });
  const { members } = makeWorld(dealShards(2, 2), { elements: 20_000, wrap: tampered(cut) });
  assert.throws(() => reduceStep(members, 5), { code: "E_SHORT" });
});

Deno.test("Exchange drops and counts frames of another generation and of earlier attempts", () => {
  const { members, links, tree } = makeWorld(dealShards(2, 2), { elements: 20_000 });
  const link = links[1].byRank.get(0);
  assert.ok(link !== undefined);
  link.trySend(new Uint8Array(64).fill(2), new Uint8Array(100));
  const old = new Uint8Array(64).fill(7, 0, 16);
  old.set([1, 0, 0, 0, 4, 0, 0, 0], 16); // generation 1, step 4
  old[29] = 2; // version
  link.trySend(old, new Uint8Array(0));
  reduceStep(members, 5);
  assert.deepEqual(members[0].exchange.dropped, { nonce: 1, stale: 1 });
  assert.deepEqual(members[0].reduced.view, expectedGradient(tree, 20_000));
});

Deno.test("Exchange.abort() leaves nothing to do, and the next attempt gives the same bits", () => {
  const { members } = makeWorld(dealShards(5, 3), { elements: 40_000 });
  const expected = reduceStep(members, 0);
  for (const { exchange } of members) exchange.begin({ step: 1, attempt: 0 });
  computeShards(members[0], () => members[0].exchange.pump());
  for (let i = 0; i < 4; i++) members[1].exchange.pump();
  for (const { exchange } of members) exchange.abort();
  assert.ok(members.every(({ exchange }) => exchange.done));
  for (const { exchange } of members) exchange.begin({ step: 1, attempt: 1 });
  for (const member of members) computeShards(member);
  pumpAll(members);
  assert.deepEqual(members.map(({ exchange }) => exchange.result), expected);
  assert.ok(members.some(({ exchange }) => exchange.dropped.stale > 0));
});
