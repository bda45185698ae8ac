/** Looking inside a model: what its heads look at, and how its layers are combined. What `inspect` calls. */
import { LockstepError } from "../../shared/errors.ts";
import { writeFileAtomic } from "../../shared/files.ts";
import { openDescribedPrompts } from "../../shared/prompts_description.ts";
import { openExportSource } from "../../worker/export/export_source.ts";
import { attentionFigures, attentionOf, type HeadAttention } from "../../worker/inside/attention.ts";
import { drawHeatMaps, type HeatMap } from "../../worker/inside/heat_maps.ts";
import { type Mixing, mixingOf } from "../../worker/inside/mixing.ts";

/** How it is shown. */
export interface ShowOptions {
  /** File for a picture; null for none. */
  readonly svg: string | null;
  /** One line of JSON instead of a table. */
  readonly json: boolean;
}

/** Prints what each head makes of a prompt. Throws E_USAGE for a prompt that is longer than the model's context. */
export async function showAttention(path: string, prompt: string, { svg, json }: ShowOptions): Promise<void> {
  const source = await openExportSource(path);
  const prompts = await openDescribedPrompts(await source.describeTokens(), source.config.vocab_size);
  const tokens = prompts.encode(prompt);
  const { block_size, n_head } = source.config;
  if (tokens.length > block_size) {
    throw new LockstepError(
      "E_USAGE",
      `Cannot look at ${tokens.length} tokens as the model sees at most ${block_size}: give a shorter prompt`,
    );
  }
  const heads = await attentionOf(source, tokens);
  const words = Array.from(tokens, (token) => {
    const decoder = prompts.decoder();
    return decoder.push(token) + decoder.end();
  });
  const figures = heads.map((head) => ({ ...head, ...attentionFigures(head.probabilities) }));
  console.log(
    json
      ? JSON.stringify({
        tokens: words,
        heads: figures.map((head) => ({ ...head, probabilities: [...head.probabilities] })),
      })
      : attentionTable(heads, words),
  );
  const maps = heads.map(({ layer, head, source, probabilities }): HeatMap => ({
    title: `layer ${layer}, head ${head}${source === "own" ? "" : ` (${source})`}`,
    rows: words,
    columns: words,
    values: probabilities,
  }));
  await draw(svg, maps, { perRow: n_head, quiet: json });
}

/** How many of the tokens that the last one looks at are printed. */
const SHOWN = 3;

/** A row a head: whose states it looks at, how far and how spread, and what the last token looks at most. */
export function attentionTable(heads: readonly HeadAttention[], words: readonly string[]): string {
  const rows = heads.map(({ layer, head, source, probabilities }) => {
    const { distance, entropy } = attentionFigures(probabilities);
    const last = probabilities.slice(-words.length);
    const most = [...last.keys()].sort((a, b) => last[b] - last[a]).slice(0, SHOWN);
    const looked = most.map((at) => `${JSON.stringify(words[at])}@${at} ${last[at].toFixed(2)}`);
    return [`${layer}`, `${head}`, source, distance.toFixed(2), entropy.toFixed(2), looked.join("  ")];
  });
  return table([["layer", "head", "looks at", "tokens back", "bits", "the last token looks at"], ...rows]);
}

/** Prints the learned combinations of layers. */
export async function showMixing(path: string, { svg, json }: ShowOptions): Promise<void> {
  const mixings = mixingOf(await openExportSource(path));
  console.log(
    json
      ? JSON.stringify(mixings.map((mixing) => ({ ...mixing, weights: [...mixing.weights] })))
      : mixingTable(mixings),
  );
  const maps = mixings.map(({ layer, name, rows, columns, weights }): HeatMap => ({
    title: `layer ${layer}, ${name}`,
    rows,
    columns,
    values: weights,
  }));
  await draw(svg, maps, { perRow: 2, quiet: json });
}

/** A row for each memory or head: its weights, the largest first, of a router the four largest. */
export function mixingTable(mixings: readonly Mixing[]): string {
  const rows = mixings.flatMap(({ layer, name, rows, columns, weights }) =>
    rows.map((row, i) => {
      const own = weights.slice(i * columns.length, (i + 1) * columns.length);
      const order = [...own.keys()].filter((j) => own[j] !== 0).sort((a, b) =>
        Math.abs(own[b]) - Math.abs(own[a])
      );
      const shown = rows.length === 1 ? order : order.slice(0, 4);
      return [`${layer}`, name, row, shown.map((j) => `${columns[j]} ${own[j].toFixed(3)}`).join("  ")];
    })
  );
  return table([["layer", "weights", "of", "largest first"], ...rows]);
}

function table(rows: readonly string[][]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd()).join("\n");
}

async function draw(
  path: string | null,
  maps: readonly HeatMap[],
  { perRow, quiet }: { perRow: number; quiet: boolean },
): Promise<void> {
  if (path === null) {
    if (!quiet) console.log("a picture of it: --svg=FILE");
    return;
  }
  await writeFileAtomic(path, drawHeatMaps(maps, { perRow }));
  if (!quiet) console.log(`wrote ${path}`);
}
