import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { explain } from "../../../worker/engines/tensorflow.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const missing = (library: string) =>
  new Error(`${library}: cannot open shared object file: No such file or directory\n    at dlopen`);

Deno.test("explain() names the missing library, and whose it is", () => {
  for (
    const library of ["libcudart.so.13", "libcudnn.so.9", "libcublas.so.13", "libnccl.so.2", "libnvrtc.so.13"]
  ) {
    assert.equal(
      explain(missing(library)),
      `the shared library ${library} is missing: install CUDA's libraries, or run deno task cli setup-tensorflow again`,
    );
  }
  for (const library of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]) {
    assert.match(
      explain(missing(library)),
      new RegExp(
        `^the shared library ${library} is missing: install the TensorFlow that it was built against`,
      ),
    );
  }
});

Deno.test("explain() passes on the first line of any other complaint", () => {
  assert.equal(
    explain(new Error("undefined symbol: TF_Version\n    at dlopen")),
    "undefined symbol: TF_Version",
  );
  assert.equal(explain("no error at all"), "no error at all");
});

const compiler = await firstThatRuns(["cc", "g++"]);

Deno.test({
  name: `explain() understands this machine's dynamic linker${compiler ? "" : " (skipped: needs cc or g++)"}`,
  ignore: compiler === undefined,
  fn: () =>
    inTempDir(async (dir) => {
      const library = join(dir, "libcudart.so.13");
      const binding = join(dir, "binding.node");
      await compile(["int gpus(void) { return 1; }"], ["-o", library, "-Wl,-soname,libcudart.so.13"]);
      await compile(["int gpus(void); int all(void) { return gpus(); }"], [
        ...["-o", binding, `-L${dir}`, "-l:libcudart.so.13"],
      ]);
      await Deno.remove(library);
      assert.throws(() => createRequire(import.meta.url)(binding), (error) => {
        assert.match(
          explain(error),
          /^the shared library libcudart\.so\.13 is missing: install CUDA's libraries/,
        );
        return true;
      });
    }),
});

async function compile([text]: [string], words: string[]): Promise<void> {
  const child = new Deno.Command(compiler ?? "cc", {
    args: ["-shared", "-fPIC", "-Wl,--no-as-needed", "-x", "c", "-", "-x", "none", ...words],
    stdin: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  assert.ok((await child.status).success);
}

async function firstThatRuns(programs: string[]): Promise<string | undefined> {
  for (const program of programs) {
    try {
      await new Deno.Command(program, { args: ["--version"], stdout: "null" }).output();
      return program;
    } catch {
      continue; // not installed
    }
  }
}
