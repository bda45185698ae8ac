// @ts-self-types="./writer.d.mts"
/**
 * Lets an ONNX model that Lockstep has exported write, with onnxruntime-node or onnxruntime-web: `ort` is either.
 * model.onnx reads one token and gives the logits of the next one; keys and values of those before are passed along.
 */
export class Writer {
  #ort;
  #session;
  #config;
  #past = {};
  #read = [];

  /** `config` is the content of config.json. */
  constructor(ort, session, config) {
    this.#ort = ort;
    this.#session = session;
    this.#config = config;
    this.reset();
  }

  /** Forgets what was read. */
  reset() {
    const { n_layer, n_head, n_embd, block_size } = this.#config;
    const shape = [n_head, block_size, n_embd / n_head];
    const size = shape.reduce((product, n) => product * n, 1);
    this.#past = {};
    this.#read = [];
    for (let layer = 0; layer < n_layer; layer++) {
      for (const part of ["keys", "values"]) {
        const zeros = new Float32Array(size);
        this.#past[`past.${part}.${layer}`] = new this.#ort.Tensor("float32", zeros, shape);
      }
    }
  }

  /**
   * Reads one more token and resolves to the logits of the next one. A model sees block_size tokens: when they are full, the
   * later half of them is read again, and it goes on from there.
   */
  async read(token) {
    const { block_size } = this.#config;
    if (this.#read.length === block_size) {
      const kept = this.#read.slice(-Math.ceil(block_size / 2));
      this.reset();
      for (const earlier of kept) await this.#step(earlier);
    }
    return await this.#step(token);
  }

  async #step(token) {
    const { Tensor } = this.#ort;
    const { logits, ...made } = await this.#session.run({
      tokens: new Tensor("int32", Int32Array.of(token), [1, 1]),
      positions: new Tensor("int32", Int32Array.of(this.#read.length), [1]),
      ...this.#past,
    });
    this.#past = Object.fromEntries(
      Object.entries(made).map(([name, tensor]) => [name.replace(/^present/, "past"), tensor]),
    );
    this.#read.push(token);
    return logits.data;
  }

  /** Yields new tokens after a prompt of at least one; `choose` picks one by its logits, by default the likeliest. */
  async *write(prompt, { count, choose = likeliest }) {
    let logits;
    for (const token of prompt) logits = await this.read(token);
    for (let made = 0; made < count; made++) {
      const token = choose(logits);
      yield token;
      if (made + 1 < count) logits = await this.read(token);
    }
  }
}

/** The first of the largest logits. */
export function likeliest(logits) {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

/** Draws a token from the `topK` likeliest, logits divided by `temperature`. */
export function drawing({ temperature, topK, random = Math.random }) {
  return (logits) => {
    const ids = Array.from(logits, (_, id) => id).sort((a, b) => logits[b] - logits[a]).slice(0, topK);
    const weights = ids.map((id) => Math.exp((logits[id] - logits[ids[0]]) / temperature));
    let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
    return ids[Math.max(0, weights.findIndex((weight) => (left -= weight) < 0))];
  };
}
