import assert from "node:assert/strict";
import { requireVersion } from "../../../worker/engines/pjrt_api.ts";
import { PjrtApi } from "../../../worker/engines/pjrt_api.ts";
import { encodeCompileOptions } from "../../../worker/engines/pjrt_options.ts";
import { openXla } from "../../../worker/engines/xla_plugin.ts";
import { XLA_AVAILABLE, XLA_SKIPPED } from "./xla_available.ts";

Deno.test("requireVersion() takes the API's major version 0 from its minor version 90 on", () => {
  assert.equal(requireVersion("p.so", [0, 90]), "0.90");
  assert.equal(requireVersion("p.so", [0, 115]), "0.115");
  for (const version of [[0, 89], [1, 0]] as const) {
    assert.throws(() => requireVersion("p.so", version), {
      code: "E_ENGINE",
      message:
        `Cannot use the engine xla with the plugin p.so: the PJRT API 0.90 or a later 0.x is required and it has ${
          version.join(".")
        }; run deno task cli setup-xla`,
    });
  }
});

Deno.test("PjrtApi says why a library is no plugin", () => {
  assert.throws(() => new PjrtApi("/nowhere/plugin.so"), {
    code: "E_ENGINE",
    message: /^Cannot load XLA's plugin \/nowhere\/plugin.so: .*cannot open shared object/,
  });
});

Deno.test("encodeCompileOptions() writes one replica, one partition and XLA's flags", () => {
  assert.deepEqual([...encodeCompileOptions({})], [0x1a, 4, 0x20, 1, 0x28, 1]);
  const name = (text: string) => [0x0a, text.length, ...new TextEncoder().encode(text)];
  const flags = [...encodeCompileOptions({ deep: true, at: "/x" })].slice(6);
  assert.deepEqual(flags, [
    ...[0x3a, 10, ...name("deep"), 0x12, 2, 0x10, 1],
    ...[0x3a, 10, ...name("at"), 0x12, 4, 0x0a, 2, 0x2f, 0x78],
  ]);
  const long = encodeCompileOptions({ at: "x".repeat(200) }).slice(6);
  assert.equal(long.length, 1 + 2 + ((long[1] & 0x7f) | long[2] << 7));
});

/** Doubles three numbers. */
const DOUBLE = `module @double {
  func.func public @main(%a: tensor<3xf32>) -> (tensor<3xf32>) {
    %0 = "stablehlo.add"(%a, %a) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    return %0 : tensor<3xf32>
  }
}`;

const onXla = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: name + XLA_SKIPPED, ignore: !XLA_AVAILABLE, fn });

onXla("PjrtProgram goes through bytes and computes the same", async () => {
  const client = openXla("cpu");
  using compiled = await client.compile(DOUBLE);
  using loaded = await client.load(compiled.serialize());
  using input = client.upload(Float32Array.of(1, 2.5, -3), [3]);
  for (const program of [compiled, loaded]) {
    const [output] = await program.execute([input], 1);
    assert.deepEqual(await output.read(new Float32Array(3)), Float32Array.of(2, 5, -6));
    output[Symbol.dispose]();
  }
});

onXla("PjrtClient says in a sentence what XLA refuses", async () => {
  const client = openXla("cpu");
  const refuses = (work: Promise<unknown>, message: RegExp) =>
    assert.rejects(work, { code: "E_ENGINE", message });
  await refuses(client.compile("nonsense"), /^The engine xla failed: /);
  await refuses(client.compile(DOUBLE, { no_such_flag: true }), /no_such_flag/);
  await refuses(client.load(new Uint8Array(100)), /^The engine xla failed: /);
  using program = await client.compile(DOUBLE);
  await refuses(program.execute([], 1), /^The engine xla failed: /);
  const [output] = await program.execute([client.upload(new Float32Array(3), [3])], 1);
  await refuses(output.read(new Float32Array(2)), /^The engine xla failed: /);
});

onXla("PjrtProgram refuses once it was disposed of", async () => {
  const client = openXla("cpu");
  const program = await client.compile(DOUBLE);
  program[Symbol.dispose]();
  program[Symbol.dispose]();
  using input = client.upload(new Float32Array(3), [3]);
  await assert.rejects(program.execute([input], 1), { code: "E_ENGINE" });
});

onXla("PjrtApi lets a process and a thread that used it end in peace", async () => {
  const source = `
    import { openXla } from ${JSON.stringify(import.meta.resolve("../../../worker/engines/xla_plugin.ts"))};
    const client = openXla("cpu");
    using program = await client.compile(${JSON.stringify(DOUBLE)});
    console.log(client.platform);
  `;
  const module = URL.createObjectURL(
    new Blob([source + "self.postMessage(1);"], { type: "text/typescript" }),
  );
  const thread = new Worker(module, { type: "module" });
  await new Promise((resolve) => thread.onmessage = resolve);
  thread.terminate();
  URL.revokeObjectURL(module);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", "--quiet", "--no-lock", source],
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "cpu\n"]);
});
