import { foreignNames } from "./foreign_names.ts";
import type { Field } from "./kinds.ts";
import { builtIn, type PresetKind, presetNames } from "./presets.ts";
import { configKeys, type Section } from "./run_config.ts";

const intro = `# Configuration

Made by \`deno task docs\` from \`shared/config/\`; a test fails where it is stale.

    train PRESET|FILE.toml --key=value --key value --flag --no-flag

A run starts from the defaults below, then takes the preset (\`sort-demo\` if none is named) or the TOML file,
then each option in order: what stands later wins. \`--model=NAME\` sets every key of that model preset,
\`--model=./my_model.ts\` takes a model of your own. Dashes and underscores are alike. Keys of a table have a
dot, \`--reflex.heads=[4,2,2]\`; in TOML they stand under \`[reflex]\`. A list may go without brackets, a truth is
\`true\`, \`True\` or \`1\`, and \`none\` unsets a key. An unknown key is refused with the nearest known one. The
names are nanoGPT's where it has one, torchrun's for the launch.

A run writes its configuration, every default included, to \`config.toml\` in its folder; that file is a preset
too. Keys marked _numerics_ decide the bits of the weights: a run is resumed, and a worker admitted, only
where they are equal. For \`max_iters\` that is so only where \`lr_decay_iters\` follows it.
`;

const about: Record<Section, string> = {
  data: "What is learned.",
  model: "What learns; [models.md](models.md) has the maths.",
  optimizer: "A step: the global batch is `gradient_accumulation_steps` × `batch_size` sequences.",
  run: "Where a run starts, writes, saves and reports.",
  evaluation: "What is measured.",
  system: "What computes.",
  launch: "Who starts how many processes, and where they meet.",
};

/** The text of docs/configuration.md: every key, preset and foreign name, from the tables that the program uses. */
export function renderReference(): string {
  const sections = Map.groupBy(configKeys.values(), ({ section }) => section);
  return [
    intro,
    "## Presets\n",
    presetTable("task"),
    presetTable("model"),
    ...[...sections].flatMap(([section, keys]) => [`## ${section}\n\n${about[section]}\n`, keyTable(keys)]),
    "## Names from elsewhere\n\nNames of nanoGPT and torchrun that have no meaning here, on the command line and in TOML.\n",
    foreignTable(),
  ].join("\n");
}

function presetTable(kind: PresetKind): string {
  const rows = presetNames(kind).map((name) => [`\`${name}\``, builtIn(name)?.summary ?? ""]);
  return table([kind, "what"], rows);
}

function keyTable(keys: readonly Field[]): string {
  const rows = keys.map((key) => [
    `\`${key.name}\``,
    key.default === null ? "none" : `\`${key.default}\``,
    key.unit ?? "",
    key.accepts,
    key.numerics ? "yes" : "",
    key.help,
  ]);
  return table(["key", "default", "unit", "accepts", "numerics", "meaning"], rows);
}

function foreignTable(): string {
  const rows = [...foreignNames].map((
    [name, { from, verdict, reason }],
  ) => [`\`${name}\``, from, verdict, reason]);
  return table(["name", "from", "is", "why, or what instead"], rows);
}

/** A Markdown table as `deno fmt` lays it out. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column].length)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |\n`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("");
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("../../docs/configuration.md", import.meta.url), renderReference());
}
