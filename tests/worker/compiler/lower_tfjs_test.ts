import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { lowerTfjs, type TfjsModel } from "../../../worker/compiler/lower_tfjs.ts";
import type { Op } from "../../../worker/compiler/op.ts";
import { withBackend } from "../../../worker/model/with_backend.ts";
import { rawBytes } from "../../../worker/compiler/raw_bytes.ts";
import { assertClose, graphOf } from "./graph_of_op.ts";
import { OP_EXAMPLES, type OpExample, OPS } from "./op_examples.ts";
import type { Value } from "./run_graph.ts";

/** Ops that only gradients need. */
const REFUSED: readonly Op[] = ["gatherElements", "segmentSum"];

async function load({ nodes, weights, inputs, outputs }: TfjsModel): Promise<tf.GraphModel> {
  const bytes = weights.flatMap(({ dtype, data }) => [...rawBytes(dtype, data)]);
  return await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: { node: nodes, versions: { producer: 1 } },
    signature: { inputs, outputs },
    weightSpecs: weights.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] })),
    weightData: Uint8Array.from(bytes).buffer,
  }));
}

async function assertExample<K extends Op>(op: K, example: OpExample<K>): Promise<void> {
  const model = await load(lowerTfjs(graphOf(op, example), []));
  const results = await withBackend("cpu", () => {
    const feeds = example.inputs.map(({ data, shape, dtype }, i) =>
      [`in${i}`, tf.tensor([...data], [...shape], dtype)] as const
    );
    const made = model.execute(Object.fromEntries(feeds), example.outputs.map((_, i) => `out${i}`));
    return [made].flat().map((tensor, i): Value => ({
      dtype: example.outputs[i].dtype,
      shape: tensor.shape,
      data: Array.from(tensor.dataSync(), Number),
    }));
  });
  example.outputs.forEach((value, i) => assertClose(results[i], value, 1e-5));
}

for (const op of OPS.filter((op) => !REFUSED.includes(op))) {
  Deno.test(`lowerTfjs() makes TensorFlow.js compute what ${op} means`, async () => {
    for (const example of OP_EXAMPLES[op]) await assertExample(op, example);
  });
}

for (const op of REFUSED) {
  Deno.test(`lowerTfjs() refuses ${op}, which graph models lack`, () => {
    assert.throws(() => lowerTfjs(graphOf(op, OP_EXAMPLES[op][0]), []), {
      code: "E_UNSUPPORTED_OP",
      message: new RegExp(`^Cannot export the op ${op} as tfjs`),
    });
  });
}
