import { TINY } from "./support.ts";

/** A sweep's file: the tiny model with each of `seeds`, and what else stands in it. */
export function tinySweep({ seeds, more = "" }: { seeds: readonly number[]; more?: string }): string {
  const [preset, ...options] = TINY;
  const keys = options.map((option) => option.replace(/^--/, "").replace("=", " = "));
  return [`preset = "${preset}"`, `seeds = [${seeds}]`, more, "[config]", ...keys].join("\n");
}
