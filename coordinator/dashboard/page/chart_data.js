import uPlot from "/assets/uPlot.js";

/** TensorBoard's smoothing: a mean of all that came before, of which each step back counts `weight` as much; unbiased at the start. */
export function smoothed(values, weight) {
  let sum = 0, norm = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + value;
    norm = weight * norm + 1;
    return sum / norm;
  });
}

/**
 * What a chart draws: one x for all lines. `lines` are `{ label, color, width, dash, x, y }`; those without points are left
 * out.
 */
export function joined(lines) {
  const drawn = lines.filter(({ y }) => y.some((value) => value !== null));
  if (drawn.length === 0) return { lines: drawn, data: [[], []] };
  return { lines: drawn, data: uPlot.join(drawn.map(({ x, y }) => [x, y])) };
}

/** Adds `news` to curves that end where it begins. */
export function extended(curves, news) {
  const columns = {};
  for (const [name, column] of Object.entries(curves.columns)) {
    const more = news.columns[name];
    columns[name] = { mean: [...column.mean, ...more.mean] };
    if (column.min === undefined && more.min === undefined) continue;
    for (const bound of ["min", "max"]) {
      columns[name][bound] = [...column[bound] ?? column.mean, ...more[bound] ?? more.mean];
    }
  }
  return { steps: [...curves.steps, ...news.steps], columns };
}
