import { Packr } from "msgpackr/pack";

type Frame = Uint8Array<ArrayBuffer>;

const packer = new Packr({ useRecords: false, mapsAsObjects: true });
const LARGEST = 2_000;

/** Numbers that a seed decides. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    let state = seed >>> 0;
    this.#random = () => { // mulberry32
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /** 0 … n − 1. */
  below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  bytes(length: number): Frame {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Any value that MessagePack holds, nested a little. */
function anyValue(dice: Dice, depth = 0): unknown {
  const kind = dice.below(depth > 3 ? 6 : 8);
  if (kind === 0) return dice.below(2 ** 31) - 2 ** 30;
  if (kind === 1) return dice.pick([NaN, -Infinity, 0.5, -1, 2 ** 53, 1e300, -0]);
  if (kind === 2) {
    return String.fromCharCode(...Array.from({ length: dice.below(20) }, () => dice.below(0x3000)));
  }
  if (kind === 3) return dice.pick([null, true, false, undefined]);
  if (kind === 4) return dice.bytes(dice.below(40));
  if (kind === 5) return dice.pick(["__proto__", "constructor", "BEAT", "0".repeat(32), "ipc://x"]);
  const size = dice.below(5);
  if (kind === 6) return Array.from({ length: size }, () => anyValue(dice, depth + 1));
  return Object.fromEntries(Array.from({ length: size }, (_, i) => [`k${i}`, anyValue(dice, depth + 1)]));
}

/** Frames of every kind of wrongness, now and then a right one: made of `samples`, which are right. */
export function anyFrame(dice: Dice, samples: readonly Frame[]): Frame {
  const sample = dice.pick(samples);
  switch (dice.below(10)) {
    case 0:
      return sample;
    case 1:
      return dice.bytes(dice.below(64));
    case 2:
      return dice.bytes(dice.below(LARGEST));
    case 3:
      return sample.slice(0, dice.below(sample.length + 1));
    case 4:
      return new Uint8Array([...sample, ...dice.bytes(1 + dice.below(8))]);
    case 5:
      return new Uint8Array([...sample.slice(0, dice.below(sample.length)), ...dice.pick(samples)]);
    case 6:
      return new Uint8Array(packer.pack(anyValue(dice)));
    case 7: // headers that promise much more than follows
      return new Uint8Array([dice.pick([0xdd, 0xdf, 0xc6, 0xdb, 0xc9]), ...dice.bytes(4 + dice.below(60))]);
    case 8: // depth
      return new Uint8Array(dice.below(LARGEST)).fill(dice.pick([0x91, 0x81, 0xde, 0xdc]));
    default:
      return flipBits(dice, sample);
  }
}

function flipBits(dice: Dice, sample: Frame): Frame {
  const frame = sample.slice();
  for (let flips = 1 + dice.below(4); flips > 0 && frame.length > 0; flips--) {
    frame[dice.below(frame.length)] ^= 1 << dice.below(8);
  }
  return frame;
}

/** A map that names a message's type and holds anything else. */
export function anyMessage(dice: Dice, types: readonly string[]): Frame {
  const fields = [
    "epoch",
    "generation",
    "step",
    "attempt",
    "bytes",
    "stateHash",
    "id",
    "reason",
    "values",
    "info",
  ];
  const given = fields.filter(() => dice.below(2) === 0).map((name) => [name, anyValue(dice)]);
  return new Uint8Array(packer.pack({ type: dice.pick(types), ...Object.fromEntries(given) }));
}
