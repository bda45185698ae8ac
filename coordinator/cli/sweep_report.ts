import { dirname, join } from "node:path";
import { about, choice, optional, text } from "../../shared/config/kinds.ts";
import { LockstepError } from "../../shared/errors.ts";
import { makeFolder, writeFileAtomic } from "../../shared/files.ts";
import { documentReport, type KeptSweep } from "../sweep/document_report.ts";
import { readResults } from "../sweep/read_results.ts";
import { reportCsv } from "../sweep/report_csv.ts";
import { reportMarkdown } from "../sweep/report_markdown.ts";
import { plotsOf } from "../sweep/report_plots.ts";
import { readSweep } from "../sweep/sweep_file.ts";
import { defineCommand } from "./command.ts";

/** `sweep report FILE.toml …`: compares the variants of sweeps by the results that are there. */
export const command = defineCommand({
  summary: "Compare the variants of sweeps by the results that are there",
  usage: "FILE.toml … [--format=md|csv] [--plots=FOLDER] [--into=FILE.md]",
  options: {
    format: choice(["md", "csv"]).default("md").register(about, { help: "Markdown or CSV" }),
    plots: optional(text("a folder")).default(null).register(about, {
      help: "Folder for pictures: curves, figures with intervals, figures by group",
    }),
    into: optional(text("a file")).default(null).register(about, {
      help: "A Markdown file with places for reports, which are made anew there, with pictures",
    }),
    results: optional(text("a folder")).default(null).register(about, {
      help: "Where results are, of one sweep; none is a folder beside its file, of its name",
    }),
  },
  example: "lockstep sweep report docs/experiments/kv-retrieval.toml --plots=docs/experiments/plots",
  async run({ options: { format, plots, into, results }, words: files }) {
    if (files.length === 0 || (files.length > 1 && results !== null)) {
      throw new LockstepError(
        "E_USAGE",
        `Cannot report as ${
          results === null ? "at least one" : "with --results exactly one"
        } TOML file is required: ` +
          `given are ${files.length}`,
      );
    }
    if (into !== null && format !== "md") {
      throw new LockstepError("E_USAGE", `Cannot report into ${into} as CSV: leave out --format=${format}`);
    }
    const kept = await Promise.all(files.map(async (file): Promise<KeptSweep> => {
      const sweep = await readSweep(file);
      const folder = results ?? join(dirname(file), sweep.name);
      return { swept: await readResults(sweep, { results: folder }), results: folder };
    }));
    const sweeps = kept.map(({ swept }) => swept);
    if (into !== null) {
      await reportInto(into, kept);
    } else {
      const report = format === "csv" ? reportCsv(sweeps) : sweeps.map(reportMarkdown).join("\n");
      console.log(report.trimEnd());
    }
    if (plots !== null) {
      await makeFolder(plots);
      for (const { file, svg } of sweeps.flatMap(plotsOf)) await writeFileAtomic(join(plots, file), svg);
    }
    return 0;
  },
});

/** Makes the reports in a document anew, with their pictures. */
async function reportInto(path: string, sweeps: readonly KeptSweep[]): Promise<void> {
  const document = await Deno.readTextFile(path).catch((cause: Error) => {
    const reason = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new LockstepError("E_USAGE", `Cannot report into ${path} as ${reason}`, { cause });
  });
  const { text, pictures } = documentReport(document, { path, sweeps });
  for (const [picture, svg] of pictures) await writeFileAtomic(picture, svg);
  await writeFileAtomic(path, text);
  console.log(`${path}: ${sweeps.length} reports, ${pictures.size} pictures`);
}
