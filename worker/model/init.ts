import { CounterRandom } from "../../shared/random.ts";
import type { FlatParameter, Model } from "./load_model.ts";

/**
 * Fills the flat parameters with their start: a pure function of the seed and of each parameter's name, so that all
 * members begin with the same bits.
 */
export function initialize(model: Model, parameters: Float32Array, seed: number): void {
  for (const parameter of model.parameters) {
    const { offset, size } = parameter;
    fill(parameter, parameters.subarray(offset, offset + size), seed);
  }
}

function fill({ name, shape, init }: FlatParameter, values: Float32Array, seed: number): void {
  switch (init.kind) {
    case "constant":
      values.fill(init.value);
      break;
    case "normal":
      CounterRandom.fromSeed(seed, "init", name).fillNormal(values, { standardDeviation: init.std });
      break;
    case "diagonal": {
      const [rows, columns] = shape;
      values.fill(0);
      for (let row = 0; row < rows; row++) values[row * columns + init.firstColumn + row] = 1;
      break;
    }
  }
}
