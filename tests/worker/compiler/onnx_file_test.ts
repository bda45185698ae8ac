import assert from "node:assert/strict";
import { join } from "node:path";
import { compileGraph, type ProgramKind } from "../../../worker/compiler/compile.ts";
import { Graph } from "../../../worker/compiler/graph.ts";
import { lowerOnnx } from "../../../worker/compiler/lower_onnx.ts";
import { encodeOnnx } from "../../../worker/compiler/onnx_file.ts";
import type { Op } from "../../../worker/compiler/op.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { tinyConfig, tinyModel, VARIANTS } from "../tiny_model.ts";
import { OP_EXAMPLES, OPS } from "./op_examples.ts";

Deno.test("encodeOnnx() writes the parts of a model under onnx.proto's field numbers", () => {
  const bytes = encodeOnnx({
    nodes: [{ op: "Neg", inputs: ["x"], outputs: ["y"] }],
    constants: [],
    inputs: [{ name: "x", dtype: "float32", shape: [] }],
    outputs: [{ name: "y", dtype: "float32", shape: [0] }],
  });
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  assert.equal(
    hex,
    [
      "0809", // ir_version 9
      "1208" + "6c6f636b73746570", // producer_name "lockstep"
      "3a3c", // graph
      "0a12" + "0a0178" + "120179" + "1a054e65675f30" + "22034e6567", // node: x → y, "Neg_0", "Neg"
      "1208" + "6c6f636b73746570", // name
      "5a0b" + "0a0178" + "1206" + "0a04" + "0801" + "1200", // input x: float32, no dimensions
      "620f" + "0a0179" + "120a" + "0a08" + "0801" + "1204" + "0a020800", // output y: float32, one dimension of 0
      "4202" + "1014", // opset of the domain "", 20
      "4211" + "0a0d636f6d2e6d6963726f736f6674" + "1001", // opset "com.microsoft", 1
    ].join(""),
  );
});

const PYTHON = Deno.env.get("LOCKSTEP_TEST_PYTHON") ?? "python3";

async function python(args: string[]): Promise<{ success: boolean; text: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(PYTHON, { args }).output();
    return { success, text: new TextDecoder().decode(success ? stdout : stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { success: false, text: "" };
    throw error;
  }
}

const hasOnnx = (await python(["-c", "import onnx"])).success;

/** Checks files in full: schema, shapes and types. Ops of com.microsoft have no schema there and are passed over. */
const CHECK = `
import onnx, sys
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    print(path.split("/")[-1])
`;

/** A graph with all examples of an op. */
function examplesOf<K extends Op>(op: K): Graph {
  const graph = new Graph();
  OP_EXAMPLES[op].forEach(({ inputs, attrs }, example) => {
    const operands = inputs.map((value, i) => graph.input(`in.${example}.${i}`, value));
    graph.add(op, operands, attrs).forEach((value, i) => graph.output(`out.${example}.${i}`, value));
  });
  return graph;
}

async function programs(): Promise<Map<string, Graph>> {
  const graphs = new Map<string, Graph>();
  const compile = async (name: string, kind: ProgramKind, config = VARIANTS[name]) => {
    const shape = { batchSize: 2, length: kind === "decode" ? 1 : 4 };
    const { graph } = await compileGraph({ kind, model: await tinyModel(config), shape });
    graphs.set(`${kind}-${name}`, graph);
  };
  for (const name of Object.keys(VARIANTS)) await compile(name, "train");
  for (const kind of ["likelihood", "forward", "prefill", "decode"] as const) await compile("causal", kind);
  await compile("dropout", "train", tinyConfig({ dropout: 0.1 }));
  return graphs;
}

Deno.test({
  name: "encodeOnnx() writes files that onnx.checker accepts in full: every op and program" +
    (hasOnnx ? "" : ` (skipped: ${PYTHON} has no onnx; LOCKSTEP_TEST_PYTHON names another)`),
  ignore: !hasOnnx,
  fn: () =>
    inTempDir(async (dir) => {
      const graphs = new Map([...OPS.map((op) => [op, examplesOf(op)] as const), ...await programs()]);
      const paths: string[] = [];
      for (const [name, graph] of graphs) {
        for (const scatterAdd of [true, false]) {
          const path = join(dir, `${name}-${scatterAdd}.onnx`);
          await Deno.writeFile(path, encodeOnnx(lowerOnnx(graph, { scatterAdd })));
          paths.push(path);
        }
      }
      const { success, text } = await python(["-c", CHECK, ...paths]);
      assert.ok(success, text);
      assert.equal(text.trim().split("\n").length, paths.length);
    }),
});
