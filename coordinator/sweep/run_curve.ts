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

/**
 * The mean of the validation loss over the steps of its curve, by trapezoids: of variants that all come to the same end, the one
 * that gets there sooner has the smaller. Null where two estimates are missing.
 */
export function meanOverTraining({ step, val_loss }: Curve): number | null {
  const points = step.flatMap((at, i) => {
    const loss = val_loss[i];
    return loss === null ? [] : [{ at, loss }];
  });
  const [first, last] = [points.at(0), points.at(-1)];
  if (first === undefined || last === undefined || first.at === last.at) return null;
  const area = points.slice(1).reduce(
    (sum, { at, loss }, i) => sum + (at - points[i].at) * (loss + points[i].loss) / 2,
    0,
  );
  return area / (last.at - first.at);
}

/** At most `most` of `items`, evenly, the last among them. */
export function thin<T>(items: readonly T[], most: number): T[] {
  const stride = Math.ceil(items.length / most);
  return items.filter((_, i) => (items.length - 1 - i) % stride === 0);
}
