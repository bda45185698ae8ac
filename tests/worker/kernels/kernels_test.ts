import assert from "node:assert/strict";
import fc from "fast-check";
import { Arena } from "../../../worker/arena.ts";
import { bindKernels, compileKernels } from "../../../worker/kernels/kernels.ts";
import { adamwReference, addReference, dropoutHash, hashReference, squaresReference } from "./reference.ts";

const CAPACITY = 40_000;
const arena = Arena.create({ a: CAPACITY, b: CAPACITY, c: CAPACITY, d: CAPACITY });
const module = await compileKernels({ shared: arena.shared });
const kernels = bindKernels(module, { arena });
const [a, b, c, d] = [arena.region("a"), arena.region("b"), arena.region("c"), arena.region("d")];

const numbers = (length: number) =>
  fc.array(fc.float({ noNaN: true }), { minLength: length, maxLength: length }).map((x) =>
    Float32Array.from(x)
  );
/** Up to 70 numbers: whole vectors with every possible tail. */
const some = fc.integer({ min: 0, max: 70 }).chain(numbers);
const pair = fc.integer({ min: 0, max: 70 }).chain((n) => fc.tuple(numbers(n), numbers(n)));
const float = fc.float({ noNaN: true });

const bitsOf = (x: Float32Array) => new Uint32Array(x.slice().buffer);
/** Equal bit by bit, but that every NaN equals every other: WebAssembly leaves a NaN's payload open. */
function assertSameBits(actual: Float32Array, expected: Float32Array): void {
  const canonical = (x: Float32Array) => bitsOf(x.map((value) => Number.isNaN(value) ? NaN : value));
  assert.deepEqual(canonical(actual), canonical(expected));
}

/** Runs `kernel` and checks that it wrote `length` numbers and not one more. */
function written(length: number, kernel: () => void): Float32Array {
  c.view.subarray(length, length + 8).fill(-7);
  kernel();
  assert.deepEqual([...c.view.subarray(length, length + 8)], new Array(8).fill(-7));
  return c.view.slice(0, length);
}

Deno.test("kernels.add() gives float32 sums, tails included, and may write in place", () => {
  fc.assert(fc.property(pair, ([x, y]) => {
    a.view.set(x);
    b.view.set(y);
    const expected = addReference(x, y);
    assertSameBits(
      written(x.length, () => kernels.add(c.byteOffset, a.byteOffset, b.byteOffset, x.length)),
      expected,
    );
    kernels.add(a.byteOffset, a.byteOffset, b.byteOffset, x.length);
    assertSameBits(a.view.slice(0, x.length), expected);
  }));
});

Deno.test("kernels.scale() and kernels.divide() round each product and quotient to float32", () => {
  fc.assert(fc.property(some, float, (x, s) => {
    a.view.set(x);
    const n = x.length;
    assertSameBits(
      written(n, () => kernels.scale(c.byteOffset, a.byteOffset, n, s)),
      x.map((value) => Math.fround(value * s)),
    );
    assertSameBits(
      written(n, () => kernels.divide(c.byteOffset, a.byteOffset, n, s)),
      x.map((value) => Math.fround(value / s)),
    );
  }));
});

Deno.test("kernels.divide() writes into the result arena", () => {
  const result = Arena.create({ out: 5 });
  a.view.set([2, 4, 6, 8, 10]);
  bindKernels(module, { arena, result }).divide(result.region("out").byteOffset, a.byteOffset, 5, 4);
  assert.deepEqual([...result.region("out").view], [0.5, 1, 1.5, 2, 2.5]);
});

Deno.test("kernels.adamw() updates parameters and both moments bit for bit as strict float32", () => {
  const state = fc.integer({ min: 0, max: 70 }).chain((n) =>
    fc.record({
      p: numbers(n),
      g: numbers(n),
      m: numbers(n),
      v: numbers(n).map((v) => v.map(Math.abs)),
    })
  );
  const scalar = fc.float({ min: 0, max: 1, noNaN: true });
  const scalars = fc.record({
    scale: scalar,
    beta1: scalar,
    beta2: scalar,
    decay: scalar,
    step: scalar,
    root: scalar,
    eps: scalar,
  });
  fc.assert(fc.property(state, scalars, (x, s) => {
    a.view.set(x.p);
    b.view.set(x.g);
    c.view.set(x.m);
    d.view.set(x.v);
    const [p, g, m, v] = [a, b, c, d].map((region) => region.byteOffset);
    const n = x.p.length;
    kernels.adamw(p, g, m, v, n, s.scale, s.beta1, s.beta2, s.decay, s.step, s.root, s.eps);
    const expected = adamwReference(x, s);
    assertSameBits(a.view.slice(0, n), expected.p);
    assertSameBits(b.view.slice(0, n), x.g);
    assertSameBits(c.view.slice(0, n), expected.m);
    assertSameBits(d.view.slice(0, n), expected.v);
  }));
});

Deno.test("kernels.squares() adds in its fixed order in float64", () => {
  fc.assert(fc.property(some, (x) => {
    a.view.fill(9, 0, 80);
    a.view.set(x);
    assert.equal(kernels.squares(a.byteOffset, x.length), squaresReference(x));
  }));
});

function hashOf(x: Float32Array, block: number): number[] {
  a.view.fill(9, x.length, x.length + 16);
  a.view.set(x);
  kernels.hashReset();
  kernels.hash(a.byteOffset, x.length, block);
  return [0, 1, 2, 3].map((lane) => kernels.hashLane(lane) >>> 0);
}

/** A quick stand-in for noise of any length. */
const noise = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 1.7));

Deno.test("kernels.hash() gives the reference's bits for any length and position", () => {
  fc.assert(
    fc.property(some.filter((x) => x.length > 0), fc.nat(), (x, block) => {
      assert.deepEqual(hashOf(x, block), [...hashReference(x, block)]);
    }),
  );
  for (const n of [16_384, 16_385, 39_990]) {
    assert.deepEqual(hashOf(noise(n, 1), 5), [...hashReference(noise(n, 1), 5)]);
  }
});

Deno.test("kernels.hash() adds up to the same for any cut at block boundaries, in any order", () => {
  const x = noise(39_990, 2);
  const whole = hashOf(x, 3);
  kernels.hashReset();
  kernels.hash(a.byteOffset + 4 * 32_768, 39_990 - 32_768, 5);
  kernels.hash(a.byteOffset, 32_768, 3);
  assert.deepEqual([0, 1, 2, 3].map((lane) => kernels.hashLane(lane) >>> 0), whole);
});

Deno.test("kernels.hash() sees a flipped bit, two exchanged numbers, exchanged stripes and blocks, and the length", () => {
  const x = noise(32_768, 3);
  const whole = hashOf(x, 0).join();
  fc.assert(
    fc.property(fc.nat(32_767), fc.nat(31), fc.nat(32_767), (i, bit, j) => {
      const flipped = x.slice();
      new Uint32Array(flipped.buffer)[i] ^= 1 << bit;
      assert.notEqual(hashOf(flipped, 0).join(), whole);
      if (x[i] === x[j]) return;
      const exchanged = x.slice();
      [exchanged[i], exchanged[j]] = [x[j], x[i]];
      assert.notEqual(hashOf(exchanged, 0).join(), whole);
    }),
    { numRuns: 50 },
  );
  const move = (size: number) => Float32Array.from(x, (_, i) => x[i ^ size]);
  assert.notEqual(hashOf(move(16), 0).join(), whole);
  assert.notEqual(hashOf(move(16_384), 0).join(), whole);
  assert.notEqual(hashOf(new Float32Array(7), 0).join(), hashOf(new Float32Array(8), 0).join());
});

const peer = Arena.create({ theirs: CAPACITY });
const result = Arena.create({ gap: 20, out: CAPACITY });
const laneKernels = bindKernels(module, { arena, result, peer });
const [theirs, out] = [peer.region("theirs"), result.region("out")];

/** Numbers of two members, of any length within a stripe, around a block, and over several blocks. */
const twoStreams = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(16_383, 16_384, 16_385, 39_990))
  .chain((n) => fc.tuple(fc.nat(), fc.nat()).map(([seed, other]) => [noise(n, seed), noise(n, other + 0.5)]));
const lanes = (first: number) => [0, 1, 2, 3].map((lane) => laneKernels.hashLane(first + lane) >>> 0);

Deno.test("kernels.fetch() and fetchAdd() take a peer's numbers, tails included, and hash what they read", () => {
  fc.assert(
    fc.property(twoStreams, fc.nat(), ([x, y], block) => {
      const n = x.length;
      a.view.set(x);
      theirs.view.set(y);
      theirs.view.fill(9, n, n + 16);
      laneKernels.hashReset();
      assertSameBits(written(n, () => laneKernels.fetch(c.byteOffset, theirs.byteOffset, n, block)), y);
      assert.deepEqual(lanes(0), [...hashReference(y, block)]);
      laneKernels.hashReset();
      const add = (to: number) => laneKernels.fetchAdd(to, a.byteOffset, theirs.byteOffset, n, block);
      assertSameBits(written(n, () => add(c.byteOffset)), addReference(x, y));
      assert.deepEqual(lanes(0), [...hashReference(y, block)]);
      add(a.byteOffset);
      assertSameBits(a.view.slice(0, n), addReference(x, y));
    }),
    { numRuns: 30 },
  );
});

Deno.test("kernels.finish(), finishAdd() and finishFetchAdd() divide into the result arena and hash what they write and read", () => {
  const finished = (n: number, kernel: () => void) => {
    out.view.fill(-7, n, n + 8);
    laneKernels.hashReset();
    kernel();
    assert.deepEqual([...out.view.subarray(n, n + 8)], new Array(8).fill(-7));
    return out.view.slice(0, n);
  };
  fc.assert(
    fc.property(twoStreams, fc.nat(), fc.integer({ min: 1, max: 64 }), ([x, y], block, shards) => {
      const n = x.length;
      a.view.set(x);
      theirs.view.set(y);
      const mean = x.map((value) => value / shards);
      assertSameBits(
        finished(n, () => laneKernels.finish(out.byteOffset, a.byteOffset, n, block, shards)),
        mean,
      );
      assert.deepEqual(lanes(0), [...hashReference(mean, block)]);
      const sum = addReference(x, y).map((value) => value / shards);
      b.view.set(y);
      const finishAdd = () =>
        laneKernels.finishAdd(out.byteOffset, a.byteOffset, b.byteOffset, n, block, shards);
      assertSameBits(finished(n, finishAdd), sum);
      assert.deepEqual(lanes(0), [...hashReference(sum, block)]);
      const finishFetchAdd = () =>
        laneKernels.finishFetchAdd(out.byteOffset, a.byteOffset, theirs.byteOffset, n, block, shards);
      assertSameBits(finished(n, finishFetchAdd), sum);
      assert.deepEqual(lanes(0), [...hashReference(y, block)]);
      assert.deepEqual(lanes(4), [...hashReference(sum, block)]);
    }),
    { numRuns: 30 },
  );
});

Deno.test("kernels.dropoutMask() is a function of the absolute element, across 2^32 too", () => {
  const index = fc.oneof(
    fc.bigInt(0n, 1n << 60n),
    fc.bigInt((1n << 32n) - 80n, (1n << 32n) + 10n),
  );
  const word = fc.nat({ max: 0xffff_ffff });
  fc.assert(fc.property(fc.nat(70), index, word, word, word, (n, first, key0, key1, threshold) => {
    const [low, high] = [Number(first & 0xffff_ffffn), Number(first >> 32n)];
    const mask = written(
      n,
      () => kernels.dropoutMask(c.byteOffset, n, key0, key1, low, high, threshold, 1.25),
    );
    const expected = Float32Array.from(
      { length: n },
      (_, i) => dropoutHash(first + BigInt(i), [key0, key1]) >= threshold ? 1.25 : 0,
    );
    assert.deepEqual(mask, expected);
  }));
});

Deno.test("kernels.dropoutMask() drops the share that the threshold says, independently for each key", () => {
  const n = 40_000;
  const mask = (key: number) => {
    kernels.dropoutMask(c.byteOffset, n, key, 77, 0, 0, 0.2 * 2 ** 32, 1);
    return c.view.slice(0, n);
  };
  const kept = (x: Float32Array) => x.reduce((sum, value) => sum + value, 0) / n;
  const [first, second] = [mask(1), mask(2)];
  const both = first.map((x, i) => x * second[i]);
  const neighbours = first.map((x, i) => x * first[(i + 1) % n]);
  assert.ok(Math.abs(kept(first) - 0.8) < 0.01);
  assert.ok(Math.abs(kept(both) - 0.64) < 0.01);
  assert.ok(Math.abs(kept(neighbours) - 0.64) < 0.01);
});

Deno.test("compileKernels() also makes kernels for unshared memory", async () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const view = new Float32Array(memory.buffer);
  view.set([1, 2, 3]);
  const unshared = { memory, shared: false };
  bindKernels(await compileKernels({ shared: false }), { arena: unshared }).add(0, 0, 0, 3);
  assert.deepEqual([...view.subarray(0, 4)], [2, 4, 6, 0]);
});
