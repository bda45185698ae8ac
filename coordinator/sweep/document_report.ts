import { dirname, join, relative } from "node:path";
import type { SweepResults } from "./compare_variants.ts";
import { fillDocument } from "./fill_document.ts";
import { reportTables } from "./report_markdown.ts";
import { mainPlotsOf, type Plot } from "./report_plots.ts";

/** The results of a sweep, and the folder that has them. */
export interface KeptSweep {
  readonly swept: SweepResults;
  readonly results: string;
}

/** A document with reports in it, and the pictures that these show, by path. */
export interface DocumentReport {
  readonly text: string;
  readonly pictures: ReadonlyMap<string, string>;
}

/**
 * Makes the reports of sweeps anew in the Markdown document at `path`, each with its main plots, whose files lie beside its
 * results. Nothing is written. Throws E_USAGE where the document has no place for one.
 */
export function documentReport(
  document: string,
  { path, sweeps }: { path: string; sweeps: readonly KeptSweep[] },
): DocumentReport {
  const pictures = new Map<string, string>();
  const show = ({ file, title, svg }: Plot, results: string) => {
    const picture = join(results, file);
    pictures.set(picture, svg);
    return `![${title}](${relative(dirname(path), picture).replaceAll("\\", "/")})\n`;
  };
  const reports = new Map(sweeps.map(({ swept, results }) => {
    const shown = mainPlotsOf(swept).map((plot) => show(plot, results));
    return [swept.sweep.name, [reportTables(swept), ...shown].join("\n")];
  }));
  return { text: fillDocument(document, { reports, source: path }), pictures };
}
