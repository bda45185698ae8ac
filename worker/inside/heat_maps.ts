import { escapeXml, svgDocument } from "../../shared/svg.ts";

/** A matrix to be drawn. */
export interface HeatMap {
  readonly title: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Row major. */
  readonly values: Float32Array;
}

const CELL = 14;
/** The height of a label's letters decides its length: about 5.5 a letter, of at most as many letters as fit 90. */
const labelRoom = (labels: readonly string[]) =>
  Math.min(90, 12 + 5.5 * Math.max(...labels.map((label) => label.length)));
const TITLE = 22;
/** Width of a letter of a title. */
const TITLE_LETTER = 6.5;
const GAP = 18;

/**
 * An SVG picture of matrices, `perRow` of them beside each other: white is 0, blue above, red below, as strong as the largest
 * value of all. Text stays text and lines are vectors, so that a paper can take it as it is.
 */
export function drawHeatMaps(maps: readonly HeatMap[], { perRow }: { perRow: number }): string {
  const strongest = maps.flatMap(({ values }) => [...values]).reduce(
    (most, x) => Math.max(most, Math.abs(x)),
    0,
  );
  const room = labelRoom(maps.flatMap(({ rows, columns }) => [...rows, ...columns]));
  const widest = ({ title, columns }: HeatMap) =>
    Math.max(CELL * columns.length, TITLE_LETTER * title.length);
  const width = room + GAP + Math.max(...maps.map(widest));
  const height = TITLE + room + GAP + CELL * Math.max(...maps.map(({ rows }) => rows.length));
  const drawn = maps.map((map, i) => {
    const [x, y] = [(i % perRow) * width, Math.floor(i / perRow) * height];
    return `<g transform="translate(${x} ${y})">${drawOne(map, { strongest: strongest || 1, room })}</g>`;
  });
  const size = {
    width: width * Math.min(perRow, maps.length),
    height: height * Math.ceil(maps.length / perRow),
  };
  return svgDocument([`<rect width="100%" height="100%" fill="white"/>`, ...drawn], { ...size, fontSize: 9 });
}

function drawOne(
  { title, rows, columns, values }: HeatMap,
  { strongest, room }: { strongest: number; room: number },
): string {
  const top = TITLE + room;
  const cells = Array.from(values, (value, i) => {
    const [row, column] = [Math.floor(i / columns.length), i % columns.length];
    const place = `x="${room + column * CELL}" y="${top + row * CELL}" width="${CELL}" height="${CELL}"`;
    const name = escape(`${rows[row]} → ${columns[column]}: ${value.toFixed(4)}`);
    return value === 0
      ? ""
      : `<rect ${place} fill="${colour(value / strongest)}"><title>${name}</title></rect>`;
  });
  const frame =
    `<rect x="${room}" y="${top}" width="${columns.length * CELL}" height="${rows.length * CELL}" ` +
    `fill="none" stroke="#888" stroke-width="0.5"/>`;
  const rowLabels = rows.map((label, i) =>
    `<text x="${room - 4}" y="${top + (i + 0.72) * CELL}" text-anchor="end">${escape(label)}</text>`
  );
  const columnLabels = columns.map((label, i) =>
    `<text transform="translate(${room + (i + 0.72) * CELL} ${top - 4}) rotate(-90)">${escape(label)}</text>`
  );
  const heading = `<text x="${room}" y="14" font-size="11" font-weight="bold">${escape(title)}</text>`;
  return [heading, ...cells, frame, ...rowLabels, ...columnLabels].join("");
}

/** From white to a colour: `share` in −1 … 1. */
function colour(share: number): string {
  const [red, green, blue] = share > 0 ? [8, 81, 156] : [165, 15, 21];
  const toward = (end: number) => Math.round(255 + (end - 255) * Math.min(1, Math.abs(share)));
  return `rgb(${toward(red)},${toward(green)},${toward(blue)})`;
}

/** Text as XML; what is no character there, such as a line break, becomes visible. */
function escape(text: string): string {
  const visible = text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "\u00a0")
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x1f]/g, "·");
  return escapeXml(visible);
}
