import arcEasy from "./presets/arc-easy.toml" with { type: "text" };
import babi from "./presets/babi.toml" with { type: "text" };
import cola from "./presets/cola.toml" with { type: "text" };
import sst2 from "./presets/sst2.toml" with { type: "text" };
import mobyDick from "./presets/moby-dick.toml" with { type: "text" };
import nanogpt6l from "./presets/nanogpt-6l.toml" with { type: "text" };
import reflex6l6h from "./presets/reflex-6l6h.toml" with { type: "text" };
import reflex8l8h from "./presets/reflex-8l8h.toml" with { type: "text" };
import shakespeareChar from "./presets/shakespeare-char.toml" with { type: "text" };
import sort100 from "./presets/sort-100.toml" with { type: "text" };
import kvRetrieval from "./presets/kv-retrieval.toml" with { type: "text" };
import sortDemo from "./presets/sort-demo.toml" with { type: "text" };

/** The built-in presets as TOML; imported, not opened, so that they need no permission to read. */
export const presetTexts: ReadonlyMap<string, string> = new Map([
  ["sort-demo", sortDemo],
  ["sort-100", sort100],
  ["kv-retrieval", kvRetrieval],
  ["shakespeare-char", shakespeareChar],
  ["moby-dick", mobyDick],
  ["arc-easy", arcEasy],
  ["babi", babi],
  ["cola", cola],
  ["sst2", sst2],
  ["nanogpt-6l", nanogpt6l],
  ["reflex-6l6h", reflex6l6h],
  ["reflex-8l8h", reflex8l8h],
]);
