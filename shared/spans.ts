import { z } from "zod";

/** A stretch of time: the lane that it stands in, its name, when it began in ms since 1970 by its own machine's clock, and how long it took in ms. */
export const spanSchema = z.tuple([z.string().max(64), z.string().max(128), z.number(), z.number().min(0)]);
export type Span = z.infer<typeof spanSchema>;

/** The most that a thread tells of a step; what comes after is left out. */
export const MOST_SPANS = 2_000;

/** Collects what a thread does, for a profile. */
export class Spans {
  readonly list: Span[] = [];

  /** `lane` is where spans stand that name no other. */
  constructor(private readonly lane: string) {}

  /** `began`, and `ended` if that was not now, are of performance.now(). */
  add(name: string, began: number, { ended = performance.now(), lane = this.lane } = {}): void {
    if (this.list.length < MOST_SPANS) {
      this.list.push([lane, name, performance.timeOrigin + began, ended - began]);
    }
  }
}

/** Whether a step is in a range such as "10:20", which ends before 20; none holds no step. */
export function isInRange(step: number, range: string | null): boolean {
  if (range === null) return false;
  const [from, to] = range.split(":").map(Number);
  return step >= from && step < to;
}
