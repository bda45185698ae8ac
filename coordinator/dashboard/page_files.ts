import uPlotManifest from "uplot/package.json" with { type: "json" };

/** Types by ending. */
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

const OWN = [
  ...["index.html", "login.html", "page.css", "page.js", "api.js", "chart.js", "chart_data.js", "curves.js"],
  ...["dom.js", "log.js", "membership.js", "runs.js", "steering.js", "tables.js", "workers.js"],
];

/** The page's files by name: the only ones that are served, and no request has a path. */
const FILES = new Map<string, URL>([
  ...OWN.map((name) => [name, new URL(`./page/${name}`, import.meta.url)] as const),
  ["uPlot.js", packageFile(`dist/uPlot.esm.js`)],
  ["uPlot.css", packageFile(`dist/uPlot.min.css`)],
]);

/** A file of the page; null where there is none of that name. */
export async function pageFile(name: string): Promise<Response | null> {
  const url = FILES.get(name);
  if (url === undefined) return null;
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
  return new Response(await Deno.readFile(url), { headers: { "content-type": type } });
}

/** Of uPlot, as npm has it. */
function packageFile(path: string): URL {
  return new URL(path, import.meta.resolve(`${uPlotManifest.name}/package.json`));
}
