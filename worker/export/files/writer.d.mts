/** Picks a token by its logits. */
export type Choose = (logits: Float32Array) => number;

/** Lets an exported model write: `ort` is onnxruntime-node or onnxruntime-web, `config` the content of config.json. */
export class Writer {
  constructor(ort: unknown, session: unknown, config: unknown);
  reset(): void;
  read(token: number): Promise<Float32Array>;
  write(prompt: readonly number[], options: { count: number; choose?: Choose }): AsyncGenerator<number>;
}

export function likeliest(logits: Float32Array): number;
export function drawing(options: { temperature: number; topK: number; random?: () => number }): Choose;
