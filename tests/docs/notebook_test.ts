import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { needing, python } from "../python.ts";
import { inTempDir } from "../shared/temp_dir.ts";

const NOTEBOOK = fileURLToPath(new URL("../../docs/notebooks/lockstep.ipynb", import.meta.url));
const RUN = fileURLToPath(new URL("run_notebook.py", import.meta.url));

interface Output {
  readonly output_type: string;
  readonly text?: string;
  readonly data?: Readonly<Record<string, string>>;
}

interface Cell {
  readonly source: string;
  readonly outputs: readonly Output[];
}

Deno.test({
  ...await needing(
    ["nbclient"],
    "docs/notebooks/lockstep.ipynb trains, plots, attends and sorts on Deno's kernel",
  ),
  async fn() {
    await inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/kernels/deno`, { recursive: true });
      const argv = [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"];
      const kernel = { argv, display_name: "Deno", language: "typescript" };
      await Deno.writeTextFile(`${dir}/kernels/deno/kernel.json`, JSON.stringify(kernel));
      const env = {
        JUPYTER_PATH: dir,
        JUPYTER_RUNTIME_DIR: dir,
        IPYTHONDIR: dir,
        NO_COLOR: "1",
        TMPDIR: dir,
      };
      const { out, err, success } = await python([RUN, NOTEBOOK], { env });
      assert.ok(success, err);
      const cells: Cell[] = JSON.parse(out);
      const after = (start: string) => {
        const outputs = cells.find(({ source }) => source.startsWith(start))?.outputs ?? [];
        return outputs.map(({ text, data = {} }) => text ?? data["image/svg+xml"] ?? data["text/plain"]).join(
          "",
        );
      };
      assert.match(after("const steps"), /300 steps, validation loss 0\.\d{3}/);
      const curves = after("function curves");
      assert.deepEqual(
        [...curves.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) => points.split(" ").length),
        [
          300,
          7,
        ],
      );
      assert.match(after("console.table"), /exact_match/);
      assert.match(after("const picture"), /<svg [^]*layer\s0,\shead\s5/);
      assert.match(after("const asked"), /"9 3 12 3"[^]*"15 0 7 1"[^]*"2 2 8 5"/);
      assert.deepEqual(
        [...Deno.readDirSync(dir)].filter(({ name }) => name.startsWith("lockstep-notebook")),
        [],
      );
    });
  },
});
