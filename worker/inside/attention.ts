import * as tf from "@tensorflow/tfjs";
import type { ExportSource } from "../export/export_source.ts";
import { headGroups } from "../model/gpt.ts";
import type { ModelContext } from "../model/model.ts";
import { PLAIN } from "../model/programs.ts";
import { withBackend } from "../model/with_backend.ts";

/** What one head does with a sequence of T tokens. */
export interface HeadAttention {
  readonly layer: number;
  readonly head: number;
  /** Whose keys and values it looks at: "own", "1 back", "mixture" of earlier states, "all heads" of a router. */
  readonly source: string;
  /** Probabilities (T, T), row major: row t is how token t divides its attention over tokens 0 … t. */
  readonly probabilities: Float32Array;
}

/**
 * The attention of every head of every block for a sequence of token ids, computed by TensorFlow.js's plain backend. A model
 * of one's own is seen as far as its `logits` go through `context.attention`.
 */
export function attentionOf(
  { model, parameters }: Pick<ExportSource, "model" | "parameters">,
  tokens: Int32Array,
): Promise<HeadAttention[]> {
  const seen: HeadAttention[] = [];
  const { config } = model;
  const watch: ModelContext["attention"] = (q, k, v, layer) => {
    const [heads, length, headSize] = q.shape;
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(headSize));
    const p = tf.softmax(tf.add(scores, futureMask(length))) as tf.Tensor3D;
    const all = p.dataSync<"float32">();
    for (let head = 0; head < heads; head++) {
      const probabilities = all.slice(head * length * length, (head + 1) * length * length);
      seen.push({ layer, head, source: sourceOf(model, { layer, head }), probabilities });
    }
    return tf.matMul(p, v);
  };
  tf.enableProdMode(); // or it prints advice to install another backend
  return withBackend("cpu", () => {
    tf.tidy(() => {
      const params = Object.fromEntries(
        model.parameters.map(({ name, shape, offset, size }) => [
          name,
          tf.tensor(parameters.subarray(offset, offset + size), [...shape]),
        ]),
      );
      const input = tf.tensor2d(tokens, [1, tokens.length], "int32");
      model.module.logits(params, input, config, { ...PLAIN, attention: watch });
    });
    return seen;
  });
}

/** −1e30 where a key lies ahead of its query, else 0: (T, T). */
function futureMask(length: number): tf.Tensor2D {
  const ahead = tf.sub(tf.ones([length, length]), tf.linalg.bandPart(tf.ones([length, length]), -1, 0));
  return tf.mul(ahead, -1e30);
}

function sourceOf(
  { config, source }: ExportSource["model"],
  { layer, head }: { layer: number; head: number },
): string {
  if (source !== "gpt") return "own";
  if (config.attention === "router") return layer === 0 ? "own" : "all heads";
  const group = headGroups(config, layer).find(({ first, count }) => head >= first && head < first + count);
  const back = group?.back ?? 0;
  return back === 0 ? "own" : back === "mixture" ? "mixture" : `${back} back`;
}

/** Where a head looks on average, over all tokens of a sequence. */
export interface AttentionFigures {
  /** Tokens between a query and what it looks at; 0 is itself. */
  readonly distance: number;
  /** Of a row, in bits: 0 is one token, log2(t + 1) all tokens so far alike. */
  readonly entropy: number;
}

/** Means over the rows of (T, T) probabilities. */
export function attentionFigures(probabilities: Float32Array): AttentionFigures {
  const length = Math.round(Math.sqrt(probabilities.length));
  let [distance, entropy] = [0, 0];
  for (let query = 0; query < length; query++) {
    for (let key = 0; key <= query; key++) {
      const p = probabilities[query * length + key];
      distance += p * (query - key);
      if (p > 0) entropy -= p * Math.log2(p);
    }
  }
  return { distance: distance / length, entropy: entropy / length };
}
