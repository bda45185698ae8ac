import { readEvals } from "../../shared/metrics.ts";
import type { Curve } from "./run_result.ts";

/** So many points draw a curve. */
const POINTS = 100;

/** The estimates of both losses that a run's eval.jsonl holds; of more than 100 every n-th, and the last. */
export async function readCurve(path: string): Promise<Curve> {
  const estimates = new Map<number, Record<string, number | null>>();
  for await (const { step, task, metrics } of readEvals(path)) {
    if (task === "estimate") estimates.set(step, metrics);
  }
  const kept = thin([...estimates].sort(([a], [b]) => a - b), POINTS);
  return {
    step: kept.map(([step]) => step),
    train_loss: kept.map(([, { train_loss }]) => train_loss ?? null),
    val_loss: kept.map(([, { val_loss }]) => val_loss ?? null),
  };
}

/** At most `most` of `items`, evenly, the last among them. */
export function thin<T>(items: readonly T[], most: number): T[] {
  const stride = Math.ceil(items.length / most);
  return items.filter((_, i) => (items.length - 1 - i) % stride === 0);
}
