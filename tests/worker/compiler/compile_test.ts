import assert from "node:assert/strict";
import { compileGraph, type ProgramKind } from "../../../worker/compiler/compile.ts";
import { formatType, verifyGraph } from "../../../worker/compiler/graph.ts";
import { tinyConfig, tinyModel, VARIANTS } from "../tiny_model.ts";

const SHAPE = { batchSize: 2, length: 4 };

async function interfaceOf(
  kind: ProgramKind,
  shape = SHAPE,
): Promise<{ inputs: string[]; outputs: string[] }> {
  const { graph } = await compileGraph({ kind, model: await tinyModel(tinyConfig({ n_layer: 1 })), shape });
  const show = (values: { name: string; value: number }[]) =>
    values.filter(({ name }) => !/^(param|grad)\./.test(name))
      .map(({ name, value }) => `${name}: ${formatType(graph.type(value))}`);
  return { inputs: show(graph.inputs), outputs: show(graph.outputs) };
}

Deno.test("compileGraph() gives a training step tokens, targets and a scale, and a gradient of each parameter", async () => {
  assert.deepEqual(await interfaceOf("train"), {
    inputs: ["tokens: int32[2,4]", "targets: int32[2,4]", "scale: float32[]"],
    outputs: ["loss: float32[]"],
  });
  const model = await tinyModel(tinyConfig());
  const { graph } = await compileGraph({ kind: "train", model, shape: SHAPE });
  const named = (prefix: string, values: { name: string; value: number }[]) =>
    values.filter(({ name }) => name.startsWith(prefix))
      .map(({ name, value }) => [name.slice(prefix.length), graph.type(value).shape]);
  const expected = model.parameters.map(({ name, shape }) => [name, shape]);
  assert.deepEqual(named("param.", graph.inputs), expected);
  assert.deepEqual(named("grad.", graph.outputs), expected);
});

Deno.test("compileGraph() gives the other programs what they read and make", async () => {
  assert.deepEqual(await interfaceOf("forward"), {
    inputs: ["tokens: int32[2,4]"],
    outputs: ["logits: float32[2,4,11]"],
  });
  assert.deepEqual(await interfaceOf("likelihood"), {
    inputs: ["tokens: int32[2,4]", "targets: int32[2,4]"],
    outputs: ["nll: float32[8]"],
  });
  assert.deepEqual(await interfaceOf("prefill"), {
    inputs: ["tokens: int32[2,4]", "last: int32[2]"],
    outputs: ["logits: float32[2,11]", "new.keys.0: float32[6,4,2]", "new.values.0: float32[6,4,2]"],
  });
  const decode = await interfaceOf("decode", { batchSize: 2, length: 1 });
  assert.deepEqual(decode, {
    inputs: [
      "tokens: int32[2,1]",
      "positions: int32[2]",
      "keys.0: float32[6,8,2]",
      "values.0: float32[6,8,2]",
    ],
    outputs: ["logits: float32[2,11]", "new.keys.0: float32[6,1,2]", "new.values.0: float32[6,1,2]"],
  });
});

Deno.test("compileGraph() names a dropout site for every mask that training takes, and none elsewhere", async () => {
  const model = await tinyModel(tinyConfig({ dropout: 0.1 }));
  const { graph, sites } = await compileGraph({ kind: "train", model, shape: SHAPE });
  const [B, T, C, H] = [2, 4, 6, 3];
  const hidden = { outer: 1, inner: T * C, shape: [B * T, C] };
  const scores = { outer: H, inner: T * T, shape: [H * B, T, T] };
  const expected = [hidden, scores, hidden, hidden, scores, hidden, hidden];
  assert.deepEqual(sites, expected.map((site, i) => ({ name: `dropout.${i}`, ...site })));
  const masks = graph.inputs.filter(({ name }) => name.startsWith("dropout."));
  assert.deepEqual(masks.map(({ value }) => graph.type(value).shape), sites.map(({ shape }) => shape));
  assert.deepEqual((await compileGraph({ kind: "likelihood", model, shape: SHAPE })).sites, []);
});

for (const [name, config] of Object.entries(VARIANTS)) {
  Deno.test(`compileGraph() makes a training step that verifies, with one node a layer norm: ${name}`, async () => {
    const model = await tinyModel(config);
    const { graph } = await compileGraph({ kind: "train", model, shape: SHAPE });
    verifyGraph(graph);
    const ops = graph.nodes.map(({ op }) => op);
    assert.ok(!ops.includes("sqrt") && !ops.includes("reciprocal"));
    assert.ok(ops.filter((op) => op === "normalize").length >= 2 * config.n_layer + 1);
  });
}

Deno.test("compileGraph() joins the gradients of queries, keys and values without a padded copy", async () => {
  const shape = { batchSize: 2, length: 8 }; // as long as the position embedding
  const { graph } = await compileGraph({
    kind: "train",
    model: await tinyModel(tinyConfig({ bias: true })),
    shape,
  });
  assert.ok(!graph.nodes.some(({ op }) => op === "pad"));
});

Deno.test("compileGraph() of the same program makes the same graph", async () => {
  const model = await tinyModel(VARIANTS["reflex of the top 2"]);
  const graph = async () => (await compileGraph({ kind: "train", model, shape: SHAPE })).graph;
  assert.deepEqual((await graph()).nodes, (await graph()).nodes);
});
