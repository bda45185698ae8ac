import assert from "node:assert/strict";
import {
  type Asked,
  candidatesOf,
  chosenEngine,
  decideEngine,
  overrideEngine,
  type Trial,
  type Tried,
} from "../../../worker/engines/decide_engine.ts";

const ENGINES = ["auto", "onnx", "tensorflow", "webgpu", "xla", "reference", "./mine.ts"];
const DEVICES = ["auto", "cuda", "webgpu", "cpu"] as const;
const AUTO: Asked = { engine: "auto", device: "auto" };

const OUTCOMES: Record<string, Trial> = {
  works: { works: true, hardware: "a card", software: null },
  software: { works: true, hardware: "a card", software: "llvmpipe" },
  fails: { works: false, why: "nothing there" },
};

/** `xla on cuda`. */
const nameOf = ({ engine, device }: { engine: string; device: string }) => `${engine} on ${device}`;

function tryAll(asked: Asked, outcome: (name: string) => Trial): Tried[] {
  return candidatesOf(asked).map((candidate) => ({ ...candidate, trial: outcome(nameOf(candidate)) }));
}

Deno.test("candidatesOf() tries cuda, webgpu and cpu in that order, the fastest engine of each first", () => {
  assert.deepEqual(candidatesOf(AUTO).map(nameOf), [
    "xla on cuda",
    "tensorflow on cuda",
    "webgpu on webgpu",
    "onnx on cpu",
    "reference on cpu",
  ]);
});

Deno.test("candidatesOf() lists for each engine and device what it may compute on, or refuses", () => {
  const table = ENGINES.map((engine) =>
    DEVICES.map((device) => {
      try {
        return candidatesOf({ engine, device }).map((one) => `${one.engine}/${one.device}`).join(" ");
      } catch (error) {
        assert(error instanceof Error);
        return error.message;
      }
    })
  );
  const not = (engine: string, device: string, places: string) =>
    `Cannot compute on ${device} with the engine ${engine}: it computes on ${places}`;
  assert.deepEqual(table.slice(1), [
    ["onnx/cpu", not("onnx", "cuda", "cpu"), not("onnx", "webgpu", "cpu"), "onnx/cpu"],
    [
      "tensorflow/cuda tensorflow/cpu",
      "tensorflow/cuda",
      not("tensorflow", "webgpu", "cuda or cpu"),
      "tensorflow/cpu",
    ],
    ["webgpu/webgpu", not("webgpu", "cuda", "webgpu"), "webgpu/webgpu", not("webgpu", "cpu", "webgpu")],
    ["xla/cuda xla/cpu", "xla/cuda", not("xla", "webgpu", "cuda or cpu"), "xla/cpu"],
    ["reference/cpu", not("reference", "cuda", "cpu"), not("reference", "webgpu", "cpu"), "reference/cpu"],
    ["./mine.ts/cpu", "./mine.ts/cuda", "./mine.ts/webgpu", "./mine.ts/cpu"],
  ]);
});

Deno.test("decideEngine() takes the first that works, of every combination of outcomes; auto takes no software", () => {
  let combinations = 0;
  for (const engine of ENGINES) {
    for (const device of DEVICES) {
      const asked = { engine, device };
      let candidates: string[];
      try {
        candidates = candidatesOf(asked).map(nameOf);
      } catch {
        continue; // refused above
      }
      const kinds = Object.keys(OUTCOMES);
      for (let number = 0; number < kinds.length ** candidates.length; number++) {
        const outcomes = candidates.map((_, i) =>
          kinds[Math.floor(number / kinds.length ** i) % kinds.length]
        );
        const tried = tryAll(asked, (name) => OUTCOMES[outcomes[candidates.indexOf(name)]]);
        const isAuto = engine === "auto" && device === "auto";
        const expected = outcomes.findIndex((kind) => kind === "works" || (kind === "software" && !isAuto));
        combinations++;
        if (expected < 0) {
          assert.throws(() => decideEngine(asked, tried), { code: "E_ENGINE" });
          continue;
        }
        const { name, device: place, hardware } = decideEngine(asked, tried);
        assert.deepEqual([`${name} on ${place}`, hardware], [candidates[expected], "a card"]);
        // Nothing after the first that is taken counts: it need not be tried.
        assert.deepEqual(
          decideEngine(asked, tried.slice(0, expected + 1)).reason,
          decideEngine(asked, tried).reason,
        );
      }
    }
  }
  const auto = 3 ** 5 + 3 ** 2 + 3 + 3 ** 2; // auto, cuda, webgpu, cpu
  const [onePlace, twoPlaces, own] = [3 + 3, 3 ** 2 + 3 + 3, 4 * 3];
  assert.equal(combinations, auto + 3 * onePlace + 2 * twoPlaces + own);
});

Deno.test("decideEngine() says in one line what it took and why not those before", () => {
  const outcomes: Record<string, Trial> = {
    "xla on cuda": { works: false, why: "no NVIDIA GPU" },
    "tensorflow on cuda": { works: false, why: "no NVIDIA GPU" },
    "webgpu on webgpu": { works: true, hardware: "llvmpipe, buffers of …", software: "llvmpipe" },
    "onnx on cpu": { works: true, hardware: null, software: null },
  };
  const decide = (asked: Asked, changed: Record<string, Trial> = {}) =>
    decideEngine(asked, tryAll(asked, (name) => ({ ...outcomes, ...changed })[name] ?? OUTCOMES.works));
  assert.deepEqual(decide(AUTO), {
    name: "onnx",
    device: "cpu",
    reason: "cuda: no NVIDIA GPU; webgpu: llvmpipe is software",
    hardware: null,
  });
  const differing = { "tensorflow on cuda": { works: false, why: "its binding is not built" } } as const;
  assert.equal(
    decide(AUTO, differing).reason,
    "cuda: xla: no NVIDIA GPU, tensorflow: its binding is not built; webgpu: llvmpipe is software",
  );
  assert.equal(decide({ engine: "onnx", device: "auto" }).reason, "--engine=onnx");
  assert.equal(decide({ engine: "auto", device: "webgpu" }).reason, "--device=webgpu");
  assert.equal(decide({ engine: "xla", device: "auto" }).reason, "--engine=xla; cuda: no NVIDIA GPU");
  const noNative = { "onnx on cpu": { works: false, why: "--allow-ffi is denied" } } as const;
  assert.equal(
    decide(AUTO, noNative).reason,
    "plain JavaScript and many times slower, because --allow-ffi is denied",
  );
});

Deno.test("decideEngine() refuses with the reason of everything that was asked for", () => {
  const asked: Asked = { engine: "auto", device: "cuda" };
  assert.throws(() => decideEngine(asked, tryAll(asked, (name) => ({ works: false, why: `no ${name}` }))), {
    code: "E_ENGINE",
    message: "Cannot compute on cuda (cuda: xla: no xla on cuda, tensorflow: no tensorflow on cuda): " +
      "use --device=cpu, or put right what is missing",
  });
});

Deno.test("overrideEngine() lets an engine or a device that is given alone leave the other open", () => {
  const before: Asked = { engine: "onnx", device: "cpu" };
  assert.deepEqual(overrideEngine(before, {}), before);
  assert.deepEqual(overrideEngine(before, { engine: "webgpu" }), { engine: "webgpu", device: "auto" });
  assert.deepEqual(overrideEngine(before, { device: "cuda" }), { engine: "auto", device: "cuda" });
  assert.deepEqual(overrideEngine(before, { engine: "xla", device: "cuda" }), {
    engine: "xla",
    device: "cuda",
  });
});

Deno.test("chosenEngine() takes what a coordinator sends, and nothing that is open", () => {
  assert.deepEqual(chosenEngine({ engine: "xla", device: "cuda" }), { engine: "xla", device: "cuda" });
  for (const open of [AUTO, { engine: "onnx", device: "auto" }, { engine: "auto", device: "cpu" }] as const) {
    assert.throws(() => chosenEngine(open), /before an engine is chosen/);
  }
});
