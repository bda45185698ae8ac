import { LockstepError } from "../../shared/errors.ts";

/** From the line that names a sweep to the end of its report, which the formatter leaves as it is. */
const PLACE =
  /^<!-- report of (\S+) -->\n<!-- deno-fmt-ignore-start -->\n[^]*?^<!-- deno-fmt-ignore-end -->$/gm;

/** The names of the sweeps whose reports a Markdown document has a place for. */
export function placesOf(document: string): string[] {
  return [...document.matchAll(PLACE)].map(([, name]) => name);
}

/**
 * Puts reports, by the names of their sweeps, into their places in a Markdown document, and leaves the rest as it is. Throws
 * E_USAGE for a report without a place; `source` is the document's path.
 */
export function fillDocument(
  document: string,
  { reports, source }: { reports: ReadonlyMap<string, string>; source: string },
): string {
  const places = placesOf(document);
  const lost = [...reports.keys()].find((name) => !places.includes(name));
  if (lost !== undefined) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot put the report of ${lost} into ${source} as it must have a place for it: write the lines ` +
        place(lost, "").split("\n").join(", "),
    );
  }
  return document.replaceAll(PLACE, (found, name: string) => {
    const report = reports.get(name);
    return report === undefined ? found : place(name, `\n${report}\n`);
  });
}

function place(name: string, report: string): string {
  return `<!-- report of ${name} -->\n<!-- deno-fmt-ignore-start -->\n${report}<!-- deno-fmt-ignore-end -->`;
}
