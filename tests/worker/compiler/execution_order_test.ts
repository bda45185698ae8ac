import assert from "node:assert/strict";
import ort from "onnxruntime-node";
import { compileGraph } from "../../../worker/compiler/compile.ts";
import { fixExecutionOrder } from "../../../worker/compiler/execution_order.ts";
import { lowerOnnx } from "../../../worker/compiler/lower_onnx.ts";
import { encodeOnnx, type OnnxModel, type OnnxNode } from "../../../worker/compiler/onnx_file.ts";
import { inTempDir, namesIn } from "../../shared/temp_dir.ts";
import { tinyConfig, tinyModel } from "../tiny_model.ts";

const print = (nodes: readonly OnnxNode[]) =>
  nodes.map(({ op, inputs, outputs }) => `${outputs} = ${op}(${inputs})`);

/** The first outputs of the nodes in the order in which ONNX Runtime computed them: what its own profile says. */
async function computed(model: OnnxModel): Promise<string[]> {
  const computed: string[] = [];
  await inTempDir(async (dir) => {
    const session = await ort.InferenceSession.create(encodeOnnx(model), {
      graphOptimizationLevel: "disabled",
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: `${dir}/profile`,
    });
    await session.run(Object.fromEntries(model.inputs.map((input) => [input.name, ones(input)])));
    session.endProfiling();
    await session.release();
    const [file] = await namesIn(dir);
    const events: { name: string; args: { node_index: string } }[] = JSON.parse(
      await Deno.readTextFile(`${dir}/${file}`),
    );
    const kernels = events.filter(({ name }) => name.endsWith("kernel_time"));
    computed.push(...kernels.map(({ args }) => model.nodes[Number(args.node_index)].outputs[0]));
  });
  return computed.filter((name) => !name.startsWith("anchor"));
}

function ones({ dtype, shape }: OnnxModel["inputs"][number]): ort.Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return dtype === "int32"
    ? new ort.Tensor("int32", new Int32Array(size).fill(1), shape)
    : new ort.Tensor("float32", new Float32Array(size).fill(1), shape);
}

const node = (op: string, inputs: string[], output: string): OnnxNode => ({ op, inputs, outputs: [output] });

/** Two layers forward and back; `a` and `b` are gradients of weights, which nothing reads. */
const LAYERS: OnnxModel = {
  nodes: [
    node("Exp", ["x"], "y"),
    node("Erf", ["y"], "slope"), // for later
    node("Exp", ["y"], "z"),
    node("Mul", ["z", "z"], "b"),
    node("Mul", ["z", "slope"], "d"),
    node("Mul", ["d", "y"], "a"),
  ],
  constants: [],
  inputs: [{ name: "x", dtype: "float32", shape: [2] }],
  outputs: ["a", "b"].map((name) => ({ name, dtype: "float32", shape: [2] })),
};

Deno.test("fixExecutionOrder() puts leaves last, in reverse, and anchors what is to be computed before it is needed", () => {
  assert.deepEqual(print(fixExecutionOrder(LAYERS).nodes), [
    "y = Exp(x)",
    "slope = Erf(y)",
    "z = Exp(y)",
    "d = Mul(z,slope)",
    "a = Mul(d,y)",
    "b = Mul(z,z)",
    "anchor0 = Shape(slope)",
  ]);
});

Deno.test("fixExecutionOrder() makes ONNX Runtime compute nodes as they stand, which it does not by itself", async () => {
  const standing = LAYERS.nodes.map(({ outputs: [name] }) => name);
  assert.notDeepEqual(await computed(LAYERS), standing);
  assert.deepEqual(await computed(fixExecutionOrder(LAYERS)), standing);
});

Deno.test("fixExecutionOrder() keeps the order of a whole training step", async () => {
  const model = await tinyModel(tinyConfig());
  const { graph } = await compileGraph({ kind: "train", model, shape: { batchSize: 2, length: 8 } });
  const step = lowerOnnx(graph, { scatterAdd: true });
  const standing = step.nodes.map(({ outputs: [name] }) => name);
  assert.deepEqual(await computed(fixExecutionOrder(step)), standing);
});
