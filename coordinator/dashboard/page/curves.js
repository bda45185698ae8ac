import { getCurves } from "/assets/api.js";
import { Chart, color } from "/assets/chart.js";
import { extended, joined, smoothed } from "/assets/chart_data.js";

/** By chart: its columns of metrics.jsonl, and of estimates. */
const CHARTS = [
  { title: "Loss", columns: ["loss"], estimates: ["val_loss"], smooth: true },
  { title: "Learning rate", columns: ["lr"] },
  { title: "Gradient norm", columns: ["grad_norm"], smooth: true },
  { title: "Tokens a second", columns: ["tokens_per_sec"], smooth: true },
  { title: "Time of a step, ms", columns: ["dt_ms"], smooth: true },
  { title: "Model FLOP utilization", columns: ["mfu"], smooth: true },
];

const NAMES = {
  loss: "loss",
  val_loss: "validation loss",
  lr: "rate",
  grad_norm: "norm",
  tokens_per_sec: "tokens/s",
};

/** Colors of runs that can be told apart, also by those who see few, on light and on dark ground. */
const LIGHT = ["#0b5cad", "#b3261e", "#2f7d32", "#8a4fbf", "#a35c00", "#00767d"];
const DARK = ["#6cb2f7", "#ff8f86", "#7fd083", "#c9a2f0", "#f0b060", "#5fd0d6"];

export const darkly = matchMedia("(prefers-color-scheme: dark)");

export function runColor(run) {
  const colors = darkly.matches ? DARK : LIGHT;
  return colors[run % colors.length];
}

/** All charts, of all runs that are chosen. */
export class Curves {
  /** By run: its curves in the range that is shown. */
  #curves = new Map();
  #range = null;
  #asked = 0;

  constructor({ names, read }) {
    this.names = names;
    this.smoothing = 0.6;
    this.log = false;
    this.charts = CHARTS.map(({ title }) => new Chart({ title, read, zoomed: (range) => this.zoom(range) }));
    darkly.addEventListener("change", () => {
      for (const chart of this.charts) chart.recolor();
      this.draw();
    });
  }

  get #points() {
    return Math.min(2_000, Math.max(300, document.documentElement.clientWidth));
  }

  async zoom(range) {
    this.#range = range;
    await this.load([...this.#curves.keys()]);
  }

  /** Shows these runs, as they are now. */
  async load(runs) {
    const asked = ++this.#asked;
    const options = { range: this.#range, points: this.#points };
    const curves = await Promise.all(runs.map((run) => getCurves(run, options)));
    if (asked !== this.#asked) return; // somebody has asked for something else meanwhile
    this.#curves = new Map(runs.map((run, i) => [run, curves[i]]));
    this.draw();
  }

  /** Takes in what is new of a run. */
  async add({ run, restarted, metrics, estimates }) {
    const known = this.#curves.get(run);
    if (known === undefined || this.#range !== null) return;
    if (restarted || known.metrics.steps.length > 2 * this.#points) {
      return await this.load([...this.#curves.keys()]);
    }
    this.#curves.set(run, {
      metrics: extended(known.metrics, after(known.metrics, metrics)),
      estimates: extended(known.estimates, after(known.estimates, estimates)),
    });
    this.draw();
  }

  draw() {
    for (const [i, chart] of this.charts.entries()) {
      const lines = [...this.#curves].flatMap(([run, curves]) => this.#lines(CHARTS[i], { run, curves }));
      chart.draw(joined(lines), { range: this.#range, log: this.log && CHARTS[i].title === "Loss" });
    }
  }

  #lines({ columns, estimates = [], smooth = false }, { run, curves }) {
    const prefix = this.#curves.size > 1 ? `${this.names[run]}: ` : "";
    const lines = [];
    for (const name of columns) {
      const { steps: x, columns: { [name]: { mean, min, max } } } = curves.metrics;
      const label = `${prefix}${NAMES[name] ?? name}`;
      const isSmooth = smooth && this.smoothing > 0;
      const faint = { color: `${runColor(run)}40`, width: 1, isFaint: true, x };
      if (min !== undefined) {
        lines.push({ ...faint, label: `${label}, least`, y: min }, {
          ...faint,
          label: `${label}, most`,
          y: max,
        });
      } else if (isSmooth) lines.push({ ...faint, label, y: mean });
      const y = isSmooth ? smoothed(mean, this.smoothing) : mean;
      lines.push({ label: isSmooth ? `${label}, smoothed` : label, color: runColor(run), width: 2, x, y });
    }
    for (const name of estimates) {
      const { steps: x, columns: { [name]: { mean: y } } } = curves.estimates;
      const many = this.#curves.size > 1;
      const stroke = many ? runColor(run) : color("--wait");
      lines.push({
        label: `${prefix}${NAMES[name]}`,
        color: stroke,
        width: 2,
        dash: many ? [6, 4] : [],
        points: true,
        x,
        y,
      });
    }
    return lines;
  }
}

/** Of `news`, what is newer than all that `curves` have: the same lines may have been asked for. */
function after({ steps }, news) {
  const last = steps.at(-1) ?? -1;
  const first = news.steps.findIndex((step) => step > last);
  const cut = (values) => first < 0 ? [] : values.slice(first);
  const columns = {};
  for (const [name, column] of Object.entries(news.columns)) {
    columns[name] = Object.fromEntries(Object.entries(column).map(([key, values]) => [key, cut(values)]));
  }
  return { steps: cut(news.steps), columns };
}
