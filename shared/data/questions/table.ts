import { extname } from "node:path";
import { LockstepError } from "../../errors.ts";
import type { Question } from "./question.ts";
import { type Line, parseJsonLine, readLines, wrongLine } from "./read_lines.ts";

/** How a file's rows become questions. */
export interface TableTask {
  /** TSV with a header line, as GLUE's, or JSON Lines. */
  readonly path: string;
  /** Columns whose texts are shown, a line each. */
  readonly text: readonly string[];
  /** The column that holds the right label. */
  readonly label: string;
  /** Asked after the texts; null asks nothing. */
  readonly ask: string | null;
  /** By label: the words that stand for it. A label that is left out stands for itself. */
  readonly words: ReadonlyMap<string, string>;
}

const RESERVED = new Set(["text", "label", "ask"]);

/**
 * Parses `FILE?text=COLUMN&label=COLUMN`, in a URL's spelling (`+` or `%20` is a space): `text` may be there several times,
 * `ask` is a question, and any other name is a label with its word, as in `0=no&1=yes`. Throws E_USAGE.
 */
export function parseTableTask(address: string): TableTask {
  const cut = address.lastIndexOf("?");
  const query = new URLSearchParams(cut < 0 ? "" : address.slice(cut + 1));
  const [text, label] = [query.getAll("text"), query.get("label")];
  if (cut < 1 || text.length === 0 || !label) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot classify ${
        JSON.stringify(address)
      } as a file and its columns are required: classify:FILE.tsv?text=sentence&label=label`,
    );
  }
  const words = new Map([...query].filter(([name]) => !RESERVED.has(name)));
  return { path: address.slice(0, cut), text, label, ask: query.get("ask"), words };
}

/**
 * The rows of a file as questions, whose continuations are the labels in alphabetical order. Throws E_DATA for a row
 * without one of the columns, and where there are not two labels at least.
 */
export function parseTable(text: string, task: TableTask): Question[] {
  const rows = [".jsonl", ".ndjson"].includes(extname(task.path).toLowerCase())
    ? readLines(text, task.path).map((line) => ({ line, cells: jsonCells(line) }))
    : tsvRows(text, task.path);
  const read = rows.map(({ line, cells }) => {
    const column = (name: string) => {
      const cell = cells.get(name);
      if (cell === undefined || cell === "") throw wrongLine(line, `a value of ${JSON.stringify(name)}`);
      return cell;
    };
    return { texts: task.text.map(column), label: column(task.label) };
  });
  const labels = [...new Set(read.map(({ label }) => label))].sort();
  if (labels.length < 2) {
    throw new LockstepError(
      "E_DATA",
      `Cannot classify ${task.path} as two labels at least are required: it has ${
        labels.join("") || "no rows"
      }`,
    );
  }
  const ask = task.ask === null ? [] : [`Question: ${task.ask}`];
  const continuations = labels.map((label) => ` ${task.words.get(label) ?? label}`);
  return read.map(({ texts, label }) => ({
    context: [...texts, ...ask, "Answer:"].join("\n"),
    continuations,
    answer: labels.indexOf(label),
  }));
}

interface Row {
  readonly line: Line;
  /** By column. */
  readonly cells: ReadonlyMap<string, string>;
}

/** GLUE's files have no quoting: a quotation mark is one. */
function tsvRows(text: string, file: string): Row[] {
  const [header, ...lines] = readLines(text, file);
  const names = header === undefined ? [] : header.text.split("\t");
  return lines.map((line) => ({
    line,
    cells: new Map(line.text.split("\t").map((cell, i) => [names[i], cell.trim()])),
  }));
}

function jsonCells(line: Line): Map<string, string> {
  const row = parseJsonLine(line);
  if (typeof row !== "object" || row === null) throw wrongLine(line, "a JSON object on one line");
  const isCell = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);
  return new Map(
    Object.entries(row).filter(([, value]) => isCell(value)).map(([name, value]) => [name, `${value}`]),
  );
}
