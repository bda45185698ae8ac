import uPlot from "/assets/uPlot.js";
import { element, number } from "/assets/dom.js";

/** Steps that a key moves the reading by, in points. */
const BIG_MOVE = 20;

/** One chart of curves over steps, for a mouse, a finger, a keyboard and a screen reader. */
export class Chart {
  #plot = null;
  #drawn = "";
  #lines = [];
  #at = -1;

  /** `zoomed` is told a range of steps, null for all; `read` what stands at the step that the keyboard is at. */
  constructor({ title, log = false, zoomed, read }) {
    this.title = title;
    this.log = log;
    this.zoomed = zoomed;
    this.read = read;
    this.holder = element("div");
    this.root = element(
      "div",
      { class: "chart", tabindex: 0, role: "group", "aria-label": title },
      element("h3", {}, title),
      this.holder,
    );
    this.root.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.holder);
  }

  /** Shows `data` of `lines`, see `joined`. */
  draw({ lines, data }, { range, log = this.log }) {
    this.root.hidden = lines.length === 0;
    if (lines.length === 0) return;
    const shape = JSON.stringify([lines.map(({ label, color, width }) => [label, color, width]), log]);
    this.#lines = lines;
    if (shape === this.#drawn) this.#plot.setData(data, false);
    else this.#make(data, { lines, log });
    this.#drawn = shape;
    const [x] = data;
    const [from, to] = range === null ? [x[0], x.at(-1)] : [range.from, range.to];
    this.#plot.setScale("x", { min: from, max: Math.max(to, from + 1) });
    this.root.setAttribute("aria-label", this.#summary(data));
  }

  /** Draws anew in other colors. */
  recolor() {
    this.#drawn = "";
  }

  #make(data, { lines, log }) {
    this.#plot?.destroy();
    const axis = {
      stroke: color("--text"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line"), width: 1 },
    };
    // What is faint stands in no legend: it is the ground before which a curve is seen.
    const series = lines.map((line) => ({
      label: line.label,
      class: line.isFaint ? "faint" : undefined,
      stroke: line.color,
      width: line.width,
      dash: line.dash,
      spanGaps: true,
      points: { show: line.points ?? false },
      value: (_, value) => number(value),
    }));
    this.#plot = new uPlot(
      {
        ...this.#size(),
        scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
        axes: [
          {
            ...axis,
            values: (_, values) => values.map((value) => Number.isInteger(value) ? number(value) : ""),
          },
          {
            ...axis,
            size: 62,
            values: (_, values) => values.map((value) => value === null ? "" : number(value)),
          },
        ],
        series: [{ label: "step", value: (_, value) => number(value) }, ...series],
        cursor: {
          sync: { key: "steps" },
          drag: { x: true, y: false, setScale: false },
          bind: { dblclick: () => () => this.zoomed(null) },
        },
        hooks: { setSelect: [(plot) => this.#select(plot)] },
      },
      data,
      this.holder,
    );
    this.#plot.root.querySelector("canvas").setAttribute("aria-hidden", "true");
  }

  #size() {
    const width = Math.max(200, this.holder.clientWidth);
    return { width, height: width < 500 ? 190 : 240 };
  }

  #select(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.zoomed({ from: Math.max(0, plot.posToVal(left, "x")), to: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  #key(event) {
    const plot = this.#plot;
    if (plot === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const [x] = plot.data;
    const { min, max } = plot.scales.x;
    const step = event.shiftKey ? BIG_MOVE : 1;
    const act = {
      ArrowLeft: () => this.#readAt(this.#at < 0 ? x.length - 1 : this.#at - step),
      ArrowRight: () => this.#readAt(this.#at + step),
      Home: () => this.#readAt(0),
      End: () => this.#readAt(x.length - 1),
      "+": () => this.#zoomBy(0.5, [min, max]),
      "-": () => this.#zoomBy(2, [min, max]),
      0: () => this.zoomed(null),
    }[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  #zoomBy(factor, [min, max]) {
    const middle = this.#at < 0 ? (min + max) / 2 : this.#plot.data[0][this.#at];
    const half = Math.max(1, factor * (max - min) / 2);
    this.zoomed({ from: Math.max(0, middle - half), to: middle + half });
  }

  /** Moves the cursor to a point, and says what stands there. */
  #readAt(index) {
    const plot = this.#plot;
    const [x, ...columns] = plot.data;
    this.#at = Math.min(x.length - 1, Math.max(0, index));
    plot.setCursor({ left: plot.valToPos(x[this.#at], "x"), top: 10 });
    const values = this.#lines.flatMap(({ label, isFaint }, i) => {
      if (isFaint) return [];
      // Curves have points at different steps: each is read where it was last.
      const value = columns[i].slice(0, this.#at + 1).findLast((value) => typeof value === "number");
      return value === undefined ? [] : [`${label} ${number(value)}`];
    });
    this.read(`${this.title}, step ${number(x[this.#at])}: ${values.join(", ")}`);
  }

  #summary([x, ...columns]) {
    const said = this.#lines.flatMap(({ label, isFaint }, i) => {
      if (isFaint) return [];
      const values = columns[i].filter((value) => typeof value === "number");
      const least = values.reduce((a, b) => Math.min(a, b)), most = values.reduce((a, b) => Math.max(a, b));
      return [`${label} ${number(values.at(-1))} now, ${number(least)} to ${number(most)}`];
    });
    return `${this.title}, steps ${number(x[0])} to ${number(x.at(-1))}: ${said.join("; ")}`;
  }
}

/** A color of page.css, as a canvas takes it. */
export function color(name) {
  const probe = element("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
