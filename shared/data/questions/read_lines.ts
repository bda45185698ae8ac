import { LockstepError } from "../../errors.ts";

/** A line that is not empty, and how a person finds it. */
export interface Line {
  readonly text: string;
  /** "FILE:12" */
  readonly place: string;
}

/** The lines of a file's text that are not empty. */
export function readLines(text: string, file: string): Line[] {
  return text.split("\n")
    .map((line, i) => ({ text: line.replace(/\r$/, ""), place: `${file}:${i + 1}` }))
    .filter((line) => line.text.trim() !== "");
}

/** The refusal of a line that is not what its file should hold. */
export function wrongLine({ place }: Line, wanted: string): LockstepError {
  return new LockstepError("E_DATA", `Cannot read ${place} as ${wanted} is required there`);
}

/** A line's JSON; E_DATA where it is none. */
export function parseJsonLine(line: Line): unknown {
  try {
    return JSON.parse(line.text);
  } catch {
    throw wrongLine(line, "a JSON object on one line");
  }
}
