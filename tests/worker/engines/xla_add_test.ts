import assert from "node:assert/strict";
import { CounterRandom } from "../../../shared/random.ts";
import { Arena } from "../../../worker/arena.ts";
import { addProgram } from "../../../worker/engines/xla_add.ts";
import { openXla } from "../../../worker/engines/xla_plugin.ts";
import { loadKernels } from "../../../worker/kernels/kernels.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./xla_available.ts";

const EDGES = [
  0x0000_0000, // 0
  0x0000_0001, // the smallest
  0x0000_0123,
  0x007f_ffff, // the largest that is not normal
  0x0080_0000, // the smallest normal one, 2^-126
  0x0080_0001,
  0x00ff_ffff,
  0x0100_0001,
  0x0c80_0001, // 2^-102, whose neighbours differ by less than 2^-124
  0x217f_ffff, // below 2^-60
  0x2180_0000, // 2^-60
  0x2180_0001,
  0x3f80_0000, // 1
  0x3f80_0001,
  0x7f7f_ffff, // the largest
  0x7f80_0000, // infinity
];

/** All edges and their negatives in pairs, then random bits, among them pairs whose sum nearly vanishes. */
function pairs(count: number): Uint32Array<ArrayBuffer>[] {
  const edges = EDGES.flatMap((bits) => [bits, bits | 0x8000_0000]);
  const [a, b] = [new Uint32Array(count), new Uint32Array(count)];
  const random = CounterRandom.fromSeed(1, "pairs");
  for (let i = 0; i < count; i++) {
    a[i] = edges[i % edges.length];
    b[i] = edges[Math.floor(i / edges.length)];
    if (i < edges.length ** 2) continue;
    const [exponent, mantissa, apart] = [
      random.below(255, 4 * i),
      random.below(2 ** 23, 4 * i + 1),
      random.below(40, 4 * i + 2),
    ];
    a[i] = (i % 3 === 0 ? exponent : exponent % 30) << 23 | mantissa;
    b[i] = (a[i] + apart - 20 & 0x7f7f_ffff) | (i % 2) << 31;
    if (i % 5 === 0) b[i] = random.below(2 ** 25, 4 * i + 3) | (i % 2) << 31;
  }
  return [a, b];
}

Deno.test({
  name:
    `addProgram() gives every bit of the kernel add, also of numbers too small to be normal${XLA_SKIPPED}`,
  ignore: !XLA_AVAILABLE,
  async fn() {
    const n = 100_003;
    const arena = Arena.create({ a: n, b: n });
    const [a, b] = [arena.region("a"), arena.region("b")];
    pairs(n).forEach((bits, i) => [a, b][i].view.set(new Float32Array(bits.buffer)));
    const client = openXla("cpu");
    using program = await client.compile(addProgram(n));
    using left = client.upload(a.view, [n]);
    using right = client.upload(b.view, [n]);
    const [sum] = await program.execute([left, right], 1);
    using read = sum;
    const actual = await read.read(new Float32Array(n));
    (await loadKernels(arena)).add(a.byteOffset, a.byteOffset, b.byteOffset, n);
    const small = a.view.filter((x) => x !== 0 && Math.abs(x) < 2 ** -126).length;
    assert.ok(small > n / 100, `only ${small} of the sums are too small to be normal`);
    for (let i = 0; i < n; i++) {
      if (!Object.is(actual[i], a.view[i])) assert.fail(`sum ${i} is ${actual[i]}, not ${a.view[i]}`);
    }
  },
});
