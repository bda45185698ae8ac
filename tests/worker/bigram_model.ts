import * as tf from "@tensorflow/tfjs";
import type { ModelConfig } from "../../shared/config/model_config.ts";
import type { Parameters, ParameterSpec } from "../../worker/model/model.ts";

/** A model of the user's own whose weights can be read: row t of `table` (V, V) is the logits after token t. */
export function parameters({ vocab_size }: ModelConfig): ParameterSpec[] {
  return [{ name: "table", shape: [vocab_size, vocab_size], init: { kind: "normal", std: 1 } }];
}

export function logits(params: Parameters, tokens: tf.Tensor2D, { vocab_size }: ModelConfig): tf.Tensor3D {
  const [batchSize, length] = tokens.shape;
  return tf.reshape(tf.gather(params.table, tf.reshape(tokens, [-1])), [batchSize, length, vocab_size]);
}
