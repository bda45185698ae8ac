import { escapeXml, svgDocument } from "../../shared/svg.ts";

/** A point of a chart; bounds that are not finite are not drawn. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/** What is drawn in one colour. */
export interface ChartSeries {
  /** Stands in the legend. */
  readonly name: string;
  /** In rising order of x. */
  readonly points: readonly ChartPoint[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  /** With the unit. */
  readonly yLabel: string;
  /** What stands at x = 0, 1, 2 …; null for a scale of numbers. */
  readonly words: readonly string[] | null;
  readonly series: readonly ChartSeries[];
  /** `curves` have bands around them, `lines` have bars at their points, `points` have bars and a colour each. */
  readonly kind: "curves" | "lines" | "points";
}

const WIDTH = 680;
/** Of the part with the axes. */
const PLOT_HEIGHT = 290;
const LEFT = 70;
const RIGHT = 20;
const TOP = 34;
const BOTTOM = TOP + PLOT_HEIGHT;
const LEGEND_ROW = 18;
/** Width of a letter. */
const LETTER = 7;
/** Readable on white and on black: 4 to 1 on both. */
const INK = "#767d86";
/** Neighbours differ in lightness and in their dashes too. */
const COLOURS = ["#0b7fd0", "#d9730d", "#1a9a6c", "#c0479c", "#8a6fd1", "#a8850a", "#d1495b", "#4d8c94"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

/** An SVG picture of a chart on a transparent ground, in colours that can be told from white and from black. */
export function drawChart(chart: Chart): string {
  const { title, xLabel, yLabel, series, kind } = chart;
  const legend = kind === "points" ? { entries: [], rows: 0 } : placeLegend(series.map(({ name }) => name));
  const scale = scaleOf(chart);
  const below = BOTTOM + 38 + labelDepth(chart);
  const elements = [
    text(title, { x: LEFT, y: 20, more: 'font-size="14" font-weight="bold"' }),
    ...gridLines(chart, scale),
    text(xLabel, { x: (LEFT + WIDTH - RIGHT) / 2, y: below, more: 'text-anchor="middle"' }),
    `<g transform="translate(16 ${(TOP + BOTTOM) / 2}) rotate(-90)">${
      text(yLabel, { x: 0, y: 0, more: 'text-anchor="middle"' })
    }</g>`,
    ...series.map((one, index) => drawSeries(one, { chart, scale, index })),
    ...legend.entries.map(({ name, x, row }, index) => {
      const y = below + (row + 1) * LEGEND_ROW;
      return `<line x1="${x}" x2="${x + 22}" y1="${y}" y2="${y}" ${stroke(index)}/>` +
        text(name, { x: x + 28, y: y + 4 });
    }),
  ];
  return svgDocument(elements, { width: WIDTH, height: below + 14 + legend.rows * LEGEND_ROW, fontSize: 12 });
}

/** How much deeper than one line words below the axis reach: they are tilted where they do not fit beside each other. */
function labelDepth({ words }: Chart): number {
  if (words === null) return 0;
  const longest = LETTER * Math.max(...words.map((word) => word.length));
  return longest < (WIDTH - LEFT - RIGHT) / words.length ? 0 : Math.round(longest / 2);
}

interface Scale {
  x(value: number): number;
  y(value: number): number;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
}

function scaleOf({ series, words }: Chart): Scale {
  const points = series.flatMap(({ points }) => points);
  const ys = points.flatMap(({ y, low, high }) => [y, low, high]).filter(Number.isFinite);
  const [lowest, highest] = widened(Math.min(...ys), Math.max(...ys));
  const xs = points.map(({ x }) => x);
  const [first, last] = words === null ? [Math.min(...xs), Math.max(...xs)] : [-0.5, words.length - 0.5];
  const across = (WIDTH - LEFT - RIGHT) / (last - first || 1);
  const down = PLOT_HEIGHT / (highest - lowest);
  return {
    x: (value) => round(LEFT + (value - first) * across),
    y: (value) => round(TOP + (highest - value) * down),
    xTicks: words === null ? ticks(first, last) : words.map((_, i) => i),
    yTicks: ticks(lowest, highest),
  };
}

/** Some room above and below. */
function widened(low: number, high: number): [number, number] {
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

/** Four to nine round numbers between the bounds. */
function ticks(low: number, high: number): number[] {
  const rough = (high - low || 1) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function gridLines(chart: Chart, { x, y, xTicks, yTicks }: Scale): string[] {
  const right = WIDTH - RIGHT;
  const isTilted = labelDepth(chart) > 0;
  return [
    ...yTicks.map((tick) =>
      `<line x1="${LEFT}" x2="${right}" y1="${y(tick)}" y2="${
        y(tick)
      }" stroke="${INK}" stroke-opacity="0.25"/>` +
      text(tick.toLocaleString("en-US", { maximumSignificantDigits: 6 }), {
        x: LEFT - 8,
        y: y(tick) + 4,
        more: 'text-anchor="end"',
      })
    ),
    `<line x1="${LEFT}" x2="${right}" y1="${BOTTOM}" y2="${BOTTOM}" stroke="${INK}"/>`,
    ...xTicks.map((tick) => {
      const label = text(chart.words?.[tick] ?? tick.toLocaleString("en-US"), {
        x: 0,
        y: 0,
        more: isTilted ? 'text-anchor="end" transform="rotate(-30)"' : 'text-anchor="middle"',
      });
      return `<line x1="${x(tick)}" x2="${x(tick)}" y1="${BOTTOM}" y2="${BOTTOM + 4}" stroke="${INK}"/>` +
        `<g transform="translate(${x(tick)} ${BOTTOM + 18})">${label}</g>`;
    }),
  ];
}

/** Bars of several series stand beside each other, this far apart, in px. */
const APART = 9;

function drawSeries(
  { name, points }: ChartSeries,
  { chart: { kind, series, words }, scale: { x, y }, index }: { chart: Chart; scale: Scale; index: number },
): string {
  const shift = kind === "lines" ? (index - (series.length - 1) / 2) * APART : 0;
  const at = points.map((point) => ({ ...point, px: round(x(point.x) + shift), py: y(point.y) }));
  const bounded = at.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  const line = `<polyline points="${at.map(({ px, py }) => `${px},${py}`).join(" ")}" fill="none" ${
    stroke(index)
  }/>`;
  if (kind === "curves") {
    const edge = [
      ...bounded.map(({ px, high }) => `${px},${y(high)}`),
      ...bounded.toReversed().map(({ px, low }) => `${px},${y(low)}`),
    ];
    return `<polygon points="${edge.join(" ")}" fill="${colour(index)}" fill-opacity="0.18"/>${line}`;
  }
  const colourAt = (x: number) => colour(kind === "points" ? x : index);
  const bars = bounded.map(({ x, px, low, high }) =>
    `<path d="M${px - 4},${y(low)}h8M${px - 4},${y(high)}h8M${px},${y(low)}V${y(high)}" fill="none" stroke="${
      colourAt(x)
    }"/>`
  );
  const dots = at.map(({ x, px, py, y }) =>
    `<circle cx="${px}" cy="${py}" r="4" fill="${colourAt(x)}"><title>${
      escapeXml(`${name}, ${words?.[x] ?? x}: ${y.toPrecision(4)}`)
    }</title></circle>`
  );
  return [kind === "lines" ? line : "", ...bars, ...dots].join("");
}

/** The legend's rows, of as many names as fit beside each other. */
function placeLegend(names: readonly string[]) {
  let [x, row] = [LEFT, 0];
  const entries = names.map((name) => {
    const width = 44 + LETTER * name.length;
    if (x > LEFT && x + width > WIDTH) [x, row] = [LEFT, row + 1];
    const entry = { name, x, row };
    x += width;
    return entry;
  });
  return { entries, rows: row + 1 };
}

function stroke(index: number): string {
  const dash = DASHES[index % DASHES.length];
  return `stroke="${colour(index)}" stroke-width="2"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length];
}

function text(words: string, { x, y, more = "" }: { x: number; y: number; more?: string }): string {
  return `<text x="${round(x)}" y="${round(y)}" fill="${INK}"${more === "" ? "" : ` ${more}`}>${
    escapeXml(words)
  }</text>`;
}

/** Tenths of a px are enough, and keep files small. */
function round(x: number): number {
  return Math.round(10 * x) / 10;
}
