/**
 * The few operations a GPT is made of, in plain TensorFlow.js, with hand-written gradients where autodiff's own
 * are slower. Each is tested against the plain composition. N = B·T rows, C channels, H heads, D = C / H.
 */
import * as tf from "@tensorflow/tfjs";

/**
 * x Wᵀ + b of x (N, in), W (H·D, in) and b (H·D), with the H heads apart and first: (H, N, D). One product a head over
 * the same x, so that nothing is moved.
 */
export function projectHeads(
  x: tf.Tensor2D,
  { weight, bias, heads }: { weight: tf.Tensor2D; bias?: tf.Tensor1D; heads: number },
): tf.Tensor3D {
  const headSize = weight.shape[0] / heads;
  const op = fused(([x, weight]: [tf.Tensor2D, tf.Tensor2D], save) => {
    const [rows, channels] = x.shape;
    save([x, weight]);
    return {
      value: tf.matMul(
        tf.reshape(x, [1, rows, channels]),
        tf.reshape(weight, [heads, headSize, channels]),
        false,
        true,
      ) as tf.Tensor3D,
      gradFunc: (dy, [x, weight]) => {
        const together = tf.reshape(tf.transpose(dy as tf.Tensor3D, [1, 0, 2]), [rows, heads * headSize]);
        return [tf.matMul(together, weight), tf.matMul(together, x, true, false)];
      },
    };
  });
  const y = op(x, weight);
  return bias === undefined ? y : tf.add(y, tf.reshape(bias, [heads, 1, headSize]));
}

type Save = (tensors: tf.Tensor[]) => void;
type Gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** `tf.customGrad` with types: an op whose gradient is written by hand. */
function fused<I extends tf.Tensor[], O extends tf.Tensor>(
  forward: (inputs: I, save: Save) => { value: O; gradFunc: Gradient },
): (...inputs: I) => O {
  const op = tf.customGrad((...args) => {
    const save = args.at(-1) as unknown as Save;
    return forward(args.slice(0, -1) as I, save);
  });
  return (...inputs) => op(...inputs) as O;
}

/** y = x Wᵀ + b for x (N, in) and W (out, in) as in PyTorch's Linear: (N, out). */
export function linear(x: tf.Tensor2D, weight: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D {
  const y: tf.Tensor2D = tf.matMul(x, weight, false, true);
  return bias === undefined ? y : tf.add(y, bias);
}

/** (x − mean) / √(variance + 1e-5) over the last axis of x (N, C), the variance biased. */
const normalize = fused(([x]: [tf.Tensor2D], save) => {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const r = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5));
  const value: tf.Tensor2D = tf.mul(centred, r);
  save([value, r]);
  return {
    value,
    gradFunc: (dy, [xhat, r]) => {
      const mean = tf.mean(dy, -1, true);
      const along = tf.mean(tf.mul(dy, xhat), -1, true);
      return tf.mul(tf.sub(tf.sub(dy, mean), tf.mul(xhat, along)), r);
    },
  };
});

/**
 * Rows of a table (V, C) by int32 ids (N): (N, C). The gradient adds rows that share an id. WebGPU's own sum by segments adds in
 * whatever order its threads come, with other bits each time; there it is the product with a one-hot matrix.
 */
export function embed(table: tf.Tensor2D, ids: tf.Tensor1D): tf.Tensor2D {
  const count = table.shape[0];
  const op = fused(([table]: [tf.Tensor2D], save) => {
    save([ids]);
    return {
      value: tf.gather(table, ids),
      gradFunc: (dy, saved) => {
        const ids = saved[0] as tf.Tensor1D;
        if (tf.getBackend() !== "webgpu") return tf.unsortedSegmentSum(dy, ids, count);
        return tf.matMul(tf.oneHot(ids, count, 1, 0, "float32"), dy, true, false);
      },
    };
  });
  return op(table);
}

/** Layer norm of x (N, C) with gain (C) and, if given, bias (C). Ba et al. 2016, arXiv:1607.06450. */
export function layerNorm(x: tf.Tensor2D, weight: tf.Tensor1D, bias?: tf.Tensor1D): tf.Tensor2D {
  const y: tf.Tensor2D = tf.mul(normalize(x), weight);
  return bias === undefined ? y : tf.add(y, bias);
}

/**
 * x/2 · (1 + erf(x/√2)). With u = x/√2 and e = 1 + erf(u) the value is u·e/√2 and the derivative
 * (e + 2/√π · u/exp(u²)) / 2; where exp overflows, u/∞ = 0 is right. The scalars end up in the matrix products. The
 * derivative is made at once, while u and e are in the caches, so that it alone is kept.
 */
export const gelu = fused(([x]: [tf.Tensor2D], save) => {
  const u = tf.mul(x, Math.SQRT1_2);
  const e = tf.add(tf.erf(u), 1);
  save([tf.add(e, tf.mul(tf.div(u, tf.exp(tf.mul(u, u))), 2 / Math.sqrt(Math.PI)))]);
  return {
    value: tf.mul(tf.mul(u, e), Math.SQRT1_2) as tf.Tensor2D,
    gradFunc: (dy, [slope]) => tf.mul(tf.mul(dy, slope), 0.5),
  };
});

/** GPT-2's approximation: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). Hendrycks & Gimpel 2016, arXiv:1606.08415. */
export function geluTanh(x: tf.Tensor2D): tf.Tensor2D {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, tf.add(tf.tanh(inner), 1)), 0.5);
}

/** With more blocks the many sums of their gradients cost more than the masked scores that they save. */
const MOST_BLOCKS = 16;

/**
 * Splits T queries into blocks of 64 … 100, or 16 larger ones: a block sees only the keys up to its end. One block below
 * 128.
 */
export function queryBlocks(length: number): Block[] {
  const count = length < 128 ? 1 : Math.min(MOST_BLOCKS, Math.round(length / 80));
  const size = Math.ceil(length / count);
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => ({
    begin: i * size,
    end: Math.min(length, (i + 1) * size),
  }));
}

/** 0 where key j may be seen by query i, −1e30 where it lies ahead: (end − begin, end). */
function causalMask({ begin, end }: Block): tf.Tensor2D {
  const query = tf.expandDims(tf.range(begin, end, 1, "float32"), 1);
  const key = tf.expandDims(tf.range(0, end, 1, "float32"), 0);
  return tf.mul(tf.cast(tf.greater(key, query), "float32"), -1e30);
}

interface Block {
  readonly begin: number;
  readonly end: number;
}

/** The rows of every block of x (M, T, D). */
function splitRows(x: tf.Tensor3D, blocks: readonly Block[]): tf.Tensor3D[] {
  return blocks.length === 1 ? [x] : tf.split(x, blocks.map(({ begin, end }) => end - begin), 1);
}

/** The rows up to the end of a block. */
function prefix(x: tf.Tensor3D, { end }: Block): tf.Tensor3D {
  return end === x.shape[1] ? x : tf.slice(x, [0, 0, 0], [-1, end, -1]);
}

/** Adds tensors of which number i covers the rows up to the end of block i: all rows. */
function mergePrefixes(parts: readonly tf.Tensor3D[], blocks: readonly Block[]): tf.Tensor3D {
  const pieces = parts.map((part, i) => splitRows(part, blocks.slice(0, i + 1)));
  const sums = blocks.map((_, block) =>
    pieces.slice(block).map((list) => list[block]).reduce((sum, piece) => tf.add(sum, piece))
  );
  return sums.length === 1 ? sums[0] : tf.concat(sums, 1);
}

/** Above it, probabilities would be most of what a step keeps. */
const LONGEST_KEPT = 1024;

/** Whether attention over that many tokens keeps its probabilities for the backward pass. */
export const keepsProbabilities = (length: number) => length <= LONGEST_KEPT;

/**
 * x (M, T, D) with one more number in each row. What the backward pass makes again of q, k and v it makes of these: from
 * the same operands, the compiler would take the forward pass's own products and copies, and keep them until then.
 */
function beside(x: tf.Tensor3D, value: number): tf.Tensor3D {
  const [rows, length] = x.shape;
  return tf.concat([x, tf.fill([rows, length, 1], value)], 2);
}

/** log Σ exp(scores) of each row, whose softmax is `p`. */
function logSumExp(scores: tf.Tensor3D, p: tf.Tensor3D): tf.Tensor3D {
  return tf.sub(tf.max(scores, -1, true), tf.log(tf.max(p, -1, true)));
}

/**
 * Causal attention softmax(q kᵀ/√D + mask) v of q, k, v (M, T, D), M = heads · B: (M, T, D).
 * `drop` (M, T, T), if given, multiplies the probabilities: 0 or 1/(1−p).
 * Unless `keep`, the backward pass gets a number of each query instead of its probabilities, and makes them again (Dao et
 * al. 2022, arXiv:2205.14135): the default above 1,024 tokens.
 */
export function attention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  { drop, keep = keepsProbabilities(q.shape[1]) }: { drop?: tf.Tensor3D; keep?: boolean } = {},
): tf.Tensor3D {
  const [, length, headSize] = q.shape;
  const blocks = queryBlocks(length);
  const scale = 1 / Math.sqrt(headSize);
  const dropped = (p: tf.Tensor3D, { begin, end }: Block, mask = drop): tf.Tensor3D =>
    mask === undefined ? p : tf.mul(p, tf.slice(mask, [0, begin, 0], [-1, end - begin, end]));

  const op = fused(([q, k, v]: [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D], save) => {
    const queries = splitRows(q, blocks);
    const made = blocks.map((block, i) => {
      const products = tf.mul(tf.matMul(queries[i], prefix(k, block), false, true), scale);
      const scores: tf.Tensor3D = tf.add(products, causalMask(block));
      const p = tf.softmax(scores) as tf.Tensor3D;
      const output = tf.matMul(dropped(p, block), prefix(v, block)) as tf.Tensor3D;
      return { output, kept: keep ? p : logSumExp(scores, p) };
    });
    const outputs = made.map(({ output }) => output);
    const value: tf.Tensor3D = outputs.length === 1 ? outputs[0] : tf.concat(outputs, 1);
    save([q, k, v, value, ...made.map(({ kept }) => kept), ...(drop === undefined ? [] : [drop])]);
    return { value, gradFunc: (dy, saved) => attentionGradients(dy as tf.Tensor3D, saved) };
  });

  function attentionGradients(dy: tf.Tensor3D, saved: tf.Tensor[]): tf.Tensor[] {
    const [q, k, v, value, ...rest] = saved as tf.Tensor3D[];
    const [kept, mask] = [rest.slice(0, blocks.length), rest.at(blocks.length)];
    const [keys, values, dOutput] = keep ? [k, v, dy] : [beside(k, 1), beside(v, 0), beside(dy, 0)];
    const along = tf.sum(tf.mul(dy, value), -1, true) as tf.Tensor3D; // δ (M, T, 1)
    const [queries, dyRows, dRows, alongRows] = [q, dy, dOutput, along].map((x) => splitRows(x, blocks));
    const parts = blocks.map((block, i) => {
      const p = keep ? kept[i] : probabilities(queries[i], prefix(keys, block), { logSum: kept[i], block });
      const dp = dropped(tf.matMul(dRows[i], prefix(values, block), false, true), block, mask);
      const ds = tf.mul(p, tf.sub(dp, alongRows[i]));
      return {
        dq: tf.mul(tf.matMul(ds, prefix(keys, block)), scale) as tf.Tensor3D,
        dk: tf.mul(tf.matMul(ds, queries[i], true, false), scale) as tf.Tensor3D,
        dv: tf.matMul(dropped(p, block, mask), dyRows[i], true, false) as tf.Tensor3D,
      };
    });
    const dq = parts.length === 1 ? parts[0].dq : tf.concat(parts.map((part) => part.dq), 1);
    return [
      keep ? dq : tf.slice(dq, [0, 0, 0], [-1, -1, headSize]),
      mergePrefixes(parts.map((part) => part.dk), blocks),
      mergePrefixes(parts.map((part) => part.dv), blocks),
    ];
  }

  /** A block's softmax from the logarithm of its sum, which stands behind q as the 1 stands behind k. */
  function probabilities(
    q: tf.Tensor3D,
    longK: tf.Tensor3D,
    { logSum, block }: { logSum: tf.Tensor3D; block: Block },
  ): tf.Tensor3D {
    const longQ: tf.Tensor3D = tf.concat([q, tf.mul(logSum, -1 / scale)], 2);
    const scores = tf.mul(tf.matMul(longQ, longK, false, true), scale);
    return tf.exp(tf.add(scores, causalMask(block)));
  }

  return op(q, k, v);
}

/**
 * Σ over rows of −log softmax(logits)[target], times `scale` (a scalar: 1 / the number of targets for the mean),
 * for logits (N, V) and int32 targets (N). Rows with a target below 0 count nothing.
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D, scale: tf.Scalar): tf.Scalar {
  const { known, counted } = maskTargets(targets);
  const op = fused(([logits]: [tf.Tensor2D], save) => {
    const logProbabilities = tf.logSoftmax(logits);
    save([logProbabilities, known, counted, scale]);
    return {
      value: tf.mul(tf.neg(tf.sum(tf.mul(pick(logProbabilities, known), counted))), scale) as tf.Scalar,
      gradFunc: (dy, [logProbabilities, known, counted, scale]) => {
        const error = tf.sub(
          tf.exp(logProbabilities),
          tf.oneHot(known as tf.Tensor1D, logits.shape[1], 1, 0, "float32"),
        );
        return tf.mul(error, tf.expandDims(tf.mul(counted, tf.mul(scale, dy)), 1));
      },
    };
  });
  return op(logits);
}

/** −log softmax(logits)[target] of every row of logits (N, V), 0 where the target is below 0: (N). */
export function negativeLogLikelihood(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const { known, counted } = maskTargets(targets);
  return tf.neg(tf.mul(pick(tf.logSoftmax(logits), known), counted));
}

/** Targets with −1 replaced by 0, and 1 where a target counts. */
function maskTargets(targets: tf.Tensor1D): { known: tf.Tensor1D; counted: tf.Tensor1D } {
  const zero = tf.scalar(0, "int32");
  return { known: tf.maximum(targets, zero), counted: tf.cast(tf.greaterEqual(targets, zero), "float32") };
}

/** x[n, index[n]] for x (N, V): (N). */
function pick(x: tf.Tensor2D, index: tf.Tensor1D): tf.Tensor1D {
  return tf.reshape(tf.gather(x, tf.expandDims(index, 1) as tf.Tensor2D, 1, 1), [-1]);
}

/** 1 for the `count` largest entries of scores (1, k), 0 elsewhere; of equal ones the first wins. A choice has no gradient. */
export function largest(scores: tf.Tensor2D, count: number): tf.Tensor2D {
  const op = fused(([scores]: [tf.Tensor2D]) => {
    const k = scores.shape[1];
    const judged = tf.reshape(scores, [k, 1]); // rows: the entry judged; columns: those it is held against
    const index = tf.range(0, k, 1, "float32");
    const earlier = tf.less(tf.reshape(index, [1, k]), tf.reshape(index, [k, 1]));
    const ahead = tf.logicalOr(tf.greater(scores, judged), tf.logicalAnd(tf.equal(scores, judged), earlier));
    const rank = tf.sum(tf.cast(ahead, "float32"), 1); // how many stand before it
    return {
      value: tf.reshape(tf.cast(tf.less(rank, count), "float32"), [1, k]) as tf.Tensor2D,
      gradFunc: (dy) => tf.zerosLike(dy),
    };
  });
  return op(scores);
}
