/** A curve of a plot made of characters. */
export interface TextCurve {
  /** One character. */
  readonly mark: string;
  readonly name: string;
  readonly steps: readonly number[];
  readonly values: readonly (number | null)[];
}

const WIDTH = 64, HEIGHT = 14;
const LABEL = 9;

/** A plot of curves over steps; where two meet, the later one is seen. */
export function plotText(curves: readonly TextCurve[]): string {
  const points = curves.flatMap(({ mark, steps, values }) =>
    steps.flatMap((step, i) => {
      const value = values[i];
      return value === null ? [] : [{ mark, step, value }];
    })
  );
  if (points.length === 0) return "no step is logged yet";
  const steps = extent(points.map(({ step }) => step)), heights = extent(points.map(({ value }) => value));
  const grid = Array.from({ length: HEIGHT }, () => new Array<string>(WIDTH).fill(" "));
  for (const { mark, step, value } of points) {
    const row = HEIGHT - 1 - place(value, heights, HEIGHT);
    grid[row][place(step, steps, WIDTH)] = mark;
  }
  const labels = new Map([[0, heights.max], [HEIGHT - 1, heights.min]]);
  const rows = grid.map((row, i) =>
    `${(labels.get(i)?.toFixed(4) ?? "").padStart(LABEL)} │${row.join("").trimEnd()}`
  );
  const axis = `${" ".repeat(LABEL)} └${"─".repeat(WIDTH)}`;
  const ends = `${String(steps.min)}${String(steps.max).padStart(WIDTH - String(steps.min).length)}`;
  const names = curves.filter(({ values }) => values.length > 0).map(({ mark, name }) => `${mark} ${name}`);
  return [...rows, axis, `${" ".repeat(LABEL + 2)}${ends}`, `${" ".repeat(LABEL + 2)}${names.join("  ")}`]
    .join("\n");
}

function extent(values: readonly number[]): { min: number; max: number } {
  return {
    min: values.reduce((a, b) => Math.min(a, b)),
    max: values.reduce((a, b) => Math.max(a, b)),
  };
}

/** Which of `cells` a value falls into. */
function place(value: number, { min, max }: { min: number; max: number }, cells: number): number {
  return max === min ? 0 : Math.min(cells - 1, Math.floor((value - min) / (max - min) * cells));
}
